"""The names, labels and annotations that the operator gives to what it makes."""

from typing import Any

from classifier_inference.spec.tracking import MANAGED_PREFIX
from classifier_operator.spec import GROUP, KIND, VERSION, Identity

MANAGER = "imageclassifier-operator"
"""Field manager, and the value of app.kubernetes.io/managed-by."""

API_VERSION = f"{GROUP}/{VERSION}"
CLASSIFIER_LABEL = f"{GROUP}/classifier"
SHARED_LABEL = f"{GROUP}/shared"
"""On what the objects of a namespace share: which of them it is, such as `mlflow`."""
SLOT_LABEL = f"{GROUP}/slot"
REVISION_LABEL = f"{GROUP}/revision"
REQUEST_LABEL = f"{GROUP}/resolves"
"""On a Job that asks MLflow's registry: the revision that the spec makes as it is written."""
PURPOSE_LABEL = f"{GROUP}/purpose"
"""On a Job: what it is for, and by which those of the purpose are found, and no others."""
VERSION_ANNOTATION = f"{GROUP}/model-version"
AS_BUILT_ANNOTATION = f"{GROUP}/as-built"
MANAGED_BY_LABEL = "app.kubernetes.io/managed-by"

FIRST_SLOT = "blue"
"""Where an object's Deployment begins. A second one can stand beside it in another slot; the Service selects one."""

HTTP_PORT = 9000
MLFLOW_PORT = 5000
MINIO_PORT = 9000


def build_labels(identity: Identity) -> dict[str, str]:
    """Return the labels that every child of the object carries."""
    return {
        "app.kubernetes.io/name": KIND.lower(),
        "app.kubernetes.io/instance": identity.name,
        MANAGED_BY_LABEL: MANAGER,
        CLASSIFIER_LABEL: identity.name,
    }


def build_shared_name(name: str) -> str:
    """Return what the objects of something shared are called."""
    return f"{MANAGED_PREFIX}{name}"


def build_shared_metadata(namespace: str, name: str) -> dict[str, Any]:
    """Return the metadata of something shared: no object owns it, its labels say that the operator made it."""
    return {
        "name": build_shared_name(name),
        "namespace": namespace,
        "labels": {
            "app.kubernetes.io/name": f"{MANAGED_PREFIX}shared",
            "app.kubernetes.io/instance": build_shared_name(name),
            MANAGED_BY_LABEL: MANAGER,
            SHARED_LABEL: name,
        },
    }


def build_selector(identity: Identity, slot: str) -> dict[str, str]:
    """Return the labels by which a slot's Deployment, and the Service while it serves, know their pods."""
    return {CLASSIFIER_LABEL: identity.name, SLOT_LABEL: slot}


def build_own_name(identity: Identity, _slot: str) -> str:
    """Return the name of a child of which there is one, whichever slot serves."""
    return identity.name


def build_slot_name(identity: Identity, slot: str) -> str:
    """Return the name of a slot's Deployment: in the first it is the object's own."""
    return identity.name if slot == FIRST_SLOT else f"{identity.name}-{slot}"


def build_metadata(identity: Identity, name: str | None = None) -> dict[str, Any]:
    """Return a child's metadata: labels, and the object as its controlling owner."""
    owner = {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "name": identity.name,
        "uid": identity.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }
    return {
        "name": name or identity.name,
        "namespace": identity.namespace,
        "labels": build_labels(identity),
        "ownerReferences": [owner],
    }
