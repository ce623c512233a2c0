"""A revision: what has to change for there to be new pods, and the document that these read."""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from classifier_inference.spec.tracking import Storage, Tracking
from classifier_operator.managed_stores import resolve_storage, resolve_tracking
from classifier_operator.names import API_VERSION
from classifier_operator.spec import KIND, ImageClassifier

SERVING_FIELDS = {"model", "preprocess", "limits", "images", "auth", "top_k", "self_test", "prediction_log"}


@dataclass(frozen=True)
class Revision:
    """What a change must touch to make new pods. The server's image is not in it: an upgrade is no change."""

    name: str
    """A hash: two specs that mean the same to a pod have the same."""
    document: str
    """The object's serving half as JSON, labels copied in."""


def build_revision(classifier: ImageClassifier, labels: list[str] | None) -> Revision:
    """Return the object's revision. `labels` are those of model.labels.configMap, where it is set."""
    spec = classifier.spec
    serving = spec.model_dump(mode="json", by_alias=True, exclude_unset=True, include=SERVING_FIELDS)
    if labels is not None:
        serving["model"]["labels"] = {"inline": labels}
    serving["runtime"] = {"device": spec.runtime.device}
    serving |= _resolve_sinks(classifier)
    document = _canonical(
        {"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": classifier.identity.name}, "spec": serving}
    )
    scheduling = spec.model_dump(mode="json", by_alias=True, exclude_unset=True, include={"runtime", "pod"})
    # What came later than the first release is left out where it is not set: an upgrade changes no revision.
    later = [spec.route.cors] if spec.route.cors else []
    content = _canonical([document, scheduling, build_root_path(classifier), *later])
    return Revision(hashlib.sha256(content.encode()).hexdigest()[:10], document)


def _resolve_sinks(classifier: ImageClassifier) -> dict[str, Any]:
    """Return tracking and storage by their addresses: a pod knows nothing of what is managed."""
    namespace, spec = classifier.identity.namespace, classifier.spec
    sinks: dict[str, Tracking | Storage] = {
        "tracking": resolve_tracking(namespace, spec.tracking),
        "storage": resolve_storage(namespace, spec.storage),
    }
    return {
        name: sink.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude_none=True)
        for name, sink in sinks.items()
        if sink.mode == "External"
    }


def build_root_path(classifier: ImageClassifier) -> str:
    """Return what an ingress puts before the server's own paths: empty, or `/path`."""
    ingress = classifier.spec.route.ingress
    return ingress.path.rstrip("/") if ingress else ""


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
