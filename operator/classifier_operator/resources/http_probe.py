"""How the kubelet asks a container over HTTP how it is."""

from typing import Any

Object = dict[str, Any]


def build_probe(path: str, *, period: int, failures: int) -> Object:
    """Return a probe of the port `http`."""
    return {
        "httpGet": {"path": path, "port": "http"},
        "periodSeconds": period,
        "timeoutSeconds": 5,
        "failureThreshold": failures,
    }
