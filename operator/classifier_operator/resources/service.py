"""The Service before the pods."""

from typing import Any

from classifier_operator.api_kinds import ApiKind
from classifier_operator.names import build_metadata, build_selector
from classifier_operator.spec import ImageClassifier

SERVICE = ApiKind("Service", "", "v1", "services")


def build_service(classifier: ImageClassifier, slot: str) -> dict[str, Any]:
    """Return the Service: port 80 to the servers' of the slot that serves."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": build_metadata(classifier.identity),
        "spec": {
            "type": "ClusterIP",
            "selector": build_selector(classifier.identity, slot),
            "ports": [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": "http"}],
        },
    }
