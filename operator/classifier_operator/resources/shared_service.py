"""The Service before what the objects of a namespace share."""

from typing import Any

from classifier_operator.names import SHARED_LABEL, build_shared_metadata

Object = dict[str, Any]


def build_shared_service(namespace: str, name: str, port: int) -> Object:
    """Return the Service by whose name the pods find it."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": build_shared_metadata(namespace, name),
        "spec": {
            "type": "ClusterIP",
            "selector": {SHARED_LABEL: name},
            "ports": [{"name": "http", "port": port, "protocol": "TCP", "targetPort": "http"}],
        },
    }
