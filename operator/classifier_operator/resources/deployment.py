"""The Deployment of a slot."""

import json
from typing import Any

from classifier_operator.api_kinds import ApiKind
from classifier_operator.names import (
    AS_BUILT_ANNOTATION,
    REVISION_LABEL,
    build_metadata,
    build_selector,
    build_slot_name,
)
from classifier_operator.resources.revision import Revision
from classifier_operator.spec import ImageClassifier

DEPLOYMENT = ApiKind("Deployment", "apps", "v1", "deployments")
_STRATEGIES = {
    "RollingUpdate": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": "25%"}},
    "Recreate": {"type": "Recreate"},
}


def build_deployment(
    classifier: ImageClassifier, slot: str, revision: Revision, template: dict[str, Any]
) -> dict[str, Any]:
    """Return the Deployment, with the template noted as it was built: see `read_as_built`."""
    metadata = build_metadata(classifier.identity, build_slot_name(classifier.identity, slot))
    as_built = json.dumps({"revision": revision.name, "template": template}, sort_keys=True, separators=(",", ":"))
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata | {"annotations": {AS_BUILT_ANNOTATION: as_built}},
        "spec": {
            "replicas": classifier.replicas,
            "revisionHistoryLimit": 2,
            "selector": {"matchLabels": build_selector(classifier.identity, slot)},
            "strategy": _STRATEGIES[classifier.spec.rollout.strategy],
            "template": template,
        },
    }


def read_as_built(live: dict[str, Any] | None, revision: Revision) -> dict[str, Any] | None:
    """Return the template that was built for this revision, perhaps by an older operator, or None.

    It is what lets an upgraded operator leave running pods alone until their object's spec changes.
    """
    noted = ((live or {}).get("metadata", {}).get("annotations") or {}).get(AS_BUILT_ANNOTATION)
    if noted is None:
        return None
    try:
        as_built = json.loads(noted)
        template = as_built["template"] if as_built["revision"] == revision.name else None
    except (ValueError, KeyError, TypeError):
        return None
    return template if isinstance(template, dict) else None


def read_revision(live: dict[str, Any]) -> str:
    """Return the name of the revision that a Deployment's template is of, or an empty string."""
    name: str = live["spec"]["template"]["metadata"].get("labels", {}).get(REVISION_LABEL, "")
    return name
