"""The Ingress before the Service, where the object asks for one, and the address it gives."""

from typing import Any

from classifier_operator.api_kinds import ApiKind
from classifier_operator.names import build_metadata
from classifier_operator.spec import ImageClassifier

INGRESS = ApiKind("Ingress", "networking.k8s.io", "v1", "ingresses")


def build_ingress(classifier: ImageClassifier) -> dict[str, Any] | None:
    """Return the Ingress, or None where the object wants none."""
    wanted = classifier.spec.route.ingress
    if wanted is None:
        return None
    service = {"name": classifier.identity.name, "port": {"name": "http"}}
    rule: dict[str, Any] = {
        "http": {"paths": [{"path": wanted.path, "pathType": "Prefix", "backend": {"service": service}}]}
    }
    tls: dict[str, Any] = {"secretName": wanted.tls.secret_name} if wanted.tls else {}
    if wanted.host:
        rule["host"] = wanted.host
        if tls:
            tls["hosts"] = [wanted.host]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": build_metadata(classifier.identity),
        "spec": {
            **({"ingressClassName": wanted.class_name} if wanted.class_name else {}),
            **({"tls": [tls]} if tls else {}),
            "rules": [rule],
        },
    }


def build_url(classifier: ImageClassifier, ingress: dict[str, Any] | None) -> str:
    """Return where clients reach the classifier: the live Ingress's host or address, else the Service's name."""
    wanted = classifier.spec.route.ingress
    identity = classifier.identity
    host = wanted.host if wanted else None
    if wanted and ingress and not host:
        points = ingress.get("status", {}).get("loadBalancer", {}).get("ingress") or [{}]
        host = points[0].get("hostname") or points[0].get("ip")
    if wanted is None or host is None:
        return f"http://{identity.name}.{identity.namespace}.svc"
    return f"{'https' if wanted.tls else 'http'}://{host}{wanted.path.rstrip('/')}"
