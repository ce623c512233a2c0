"""The certificate authorities that the operator was given for pods, and how their containers see them."""

from typing import Any

from classifier_operator.resources.config_map import CA_KEY, SPEC_DIR
from classifier_operator.spec import GROUP

Object = dict[str, Any]
AUTHORITIES_FILE = f"{SPEC_DIR}/{CA_KEY}"
_ANNOTATION = f"{GROUP}/ca"


def build_ca_env(ca_bundle: str | None) -> list[Object]:
    """Return what has a container of the server's image trust them beside the usual ones."""
    return [{"name": "CLASSIFIER_CA_FILE", "value": AUTHORITIES_FILE}] if ca_bundle else []


def build_annotated_authorities(ca_bundle: str | None) -> tuple[dict[str, str], list[Object], list[Object]]:
    """Return annotations of a pod, and the volumes and mounts by which its containers see them: it has no ConfigMap."""
    if not ca_bundle:
        return {}, [], []
    item = {"path": CA_KEY, "fieldRef": {"fieldPath": f"metadata.annotations['{_ANNOTATION}']"}}
    return (
        {_ANNOTATION: ca_bundle},
        [{"name": "ca", "downwardAPI": {"items": [item]}}],
        [{"name": "ca", "mountPath": SPEC_DIR, "readOnly": True}],
    )
