"""Decide: which labels an object has whose labels lie in a ConfigMap. No I/O.

They are copied into the revision, which keeps them while the ConfigMap is away.
"""

import json
from typing import Any

from classifier_inference.spec.label_text import LabelsError, parse_labels
from classifier_operator import reasons
from classifier_operator.decide.model_version import apply_resolution, find_registered, read_kept
from classifier_operator.reasons import ObstacleError, Problem
from classifier_operator.resources.config_map import DOCUMENT_KEY
from classifier_operator.resources.revision import build_revision
from classifier_operator.spec import ImageClassifier, SpecError, check_labels

Object = dict[str, Any]


def decide_labels(
    classifier: ImageClassifier, found: Object | None, standing: tuple[str, Object] | None, status: Object
) -> tuple[list[str] | None, str | None]:
    """Return the labels of model.labels.configMap, None where it isn't set; and what is to be said of them, or None.

    `found` is the ConfigMap that it names, `standing` the revision of the live Deployment and its ConfigMap. Where the
    former is gone, only what would need it stops: while nothing else of the pods' spec has changed, the labels are
    those of the standing revision. Raises ObstacleError.
    """
    reference = classifier.spec.model.labels.config_map
    if reference is None:
        return None, None
    content = (found or {}).get("data", {}).get(reference.key)
    if content is not None:
        return _parse(content, f"ConfigMap {reference.name}, key {reference.key}"), None
    missing = f"ConfigMap {reference.name} " + (f"has no key {reference.key}" if found else "does not exist")
    kept = _read_standing_labels(classifier, *standing, status) if standing else None
    if kept is None:
        raise ObstacleError(Problem(reasons.LABELS_NOT_FOUND, missing))
    return kept, f"{missing}: its labels are kept until the next change of the spec, which needs it"


def _parse(content: str, place: str) -> list[str]:
    try:
        return check_labels(parse_labels(content.encode()))
    except (LabelsError, SpecError) as error:
        raise ObstacleError(Problem(reasons.LABELS_INVALID, f"{place}: {error}")) from error


def _read_standing_labels(
    classifier: ImageClassifier, revision: str, config_map: Object, status: Object
) -> list[str] | None:
    """Return the labels in a revision's ConfigMap, if with them the object makes that very revision; else None."""
    try:
        document = json.loads(config_map["data"][DOCUMENT_KEY])
        labels: list[str] = document["spec"]["model"]["labels"]["inline"]
    except (KeyError, ValueError):
        return None
    made = build_revision(classifier, labels)
    address = find_registered(classifier)
    kept = read_kept(status, made.name) if address else None
    if address is not None and kept is not None:
        made = build_revision(apply_resolution(classifier, address, kept), labels)
    return labels if made.name == revision else None
