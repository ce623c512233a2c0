"""The StatefulSet of MLflow or MinIO: one pod, with a volume that outlives it."""

from typing import Any

from classifier_operator.api_kinds import ApiKind
from classifier_operator.names import SHARED_LABEL, build_shared_metadata, build_shared_name
from classifier_operator.resources import restricted
from classifier_operator.settings import Settings

STATEFUL_SET = ApiKind("StatefulSet", "apps", "v1", "statefulsets")
Object = dict[str, Any]
DATA_DIR = "/data"


def build_stateful_set(
    namespace: str, name: str, pod: Object, size: str, live: Object | None, annotations: dict[str, str] | None = None
) -> Object:
    """Return the StatefulSet of one pod.

    A volume keeps the size that it was made with: Kubernetes has it so. `replicas` is left to `kubectl scale`, which
    may stop the server.
    """
    metadata = build_shared_metadata(namespace, name)
    pod_metadata = {"labels": metadata["labels"]} | ({"annotations": annotations} if annotations else {})
    claims = [{"metadata": {"name": "data"}, "spec": _build_claim(size)}]
    if live is not None:
        claims = [_read_claim(claim) for claim in live["spec"].get("volumeClaimTemplates", [])]
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": metadata,
        "spec": {
            "serviceName": build_shared_name(name),
            "selector": {"matchLabels": {SHARED_LABEL: name}},
            "template": {"metadata": pod_metadata, "spec": _BASE | pod},
            "volumeClaimTemplates": claims,
        },
    }


def build_container(name: str, image: str, settings: Settings, **more: Any) -> Object:
    """Return a container of its pod: restricted, with the volume and a /tmp, and `more` fields."""
    return {
        "name": name,
        "image": image,
        "imagePullPolicy": settings.image_pull_policy,
        "securityContext": restricted.CONTAINER,
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [{"name": "data", "mountPath": DATA_DIR}, restricted.TMP_MOUNT],
        **more,
    }


def _build_claim(size: str) -> Object:
    return {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}}


def _read_claim(claim: Object) -> Object:
    size = claim["spec"]["resources"]["requests"]["storage"]
    return {"metadata": {"name": claim["metadata"]["name"]}, "spec": _build_claim(size)}


_BASE: Object = {
    "automountServiceAccountToken": False,
    "enableServiceLinks": False,
    "terminationGracePeriodSeconds": 30,
    "securityContext": restricted.POD | {"fsGroupChangePolicy": "OnRootMismatch"},
    "volumes": [restricted.TMP_VOLUME],
}
