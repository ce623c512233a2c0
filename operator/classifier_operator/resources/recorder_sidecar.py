"""What logging predictions adds to a pod: the recorder beside the server, the spool between them, credentials."""

from typing import Any

from classifier_operator.managed_stores import resolve_storage, resolve_tracking
from classifier_operator.resources import restricted
from classifier_operator.resources.config_map import DOCUMENT_KEY, SPEC_DIR
from classifier_operator.resources.credentials import KEY, KEY_ID, build_secret_env
from classifier_operator.resources.mounted_authorities import build_ca_env
from classifier_operator.resources.variables import build_given_env, merge_env
from classifier_operator.settings import Settings
from classifier_operator.spec import ImageClassifier

Object = dict[str, Any]
SPOOL_DIR = "/spool"
SPOOL_MOUNT: Object = {"name": "spool", "mountPath": SPOOL_DIR}


def build_recorder(
    classifier: ImageClassifier, image: dict[str, str], settings: Settings, ca_bundle: str | None
) -> Object:
    """Return the recorder: a sidecar, which starts before the server and ends after it.

    It has no probe, and --keep has its first process wait for the one that works: a pod whose sidecar is down is not
    ready, and no store may take a pod out of its Service.
    """
    return {
        "name": "recorder",
        **image,
        "restartPolicy": "Always",
        "args": ["record", f"{SPEC_DIR}/{DOCUMENT_KEY}", "--spool", SPOOL_DIR, "--keep"],
        "env": merge_env(build_given_env(classifier, settings), build_log_env(classifier), build_ca_env(ca_bundle)),
        "resources": {"requests": {"cpu": "20m", "memory": "128Mi"}},
        "securityContext": restricted.CONTAINER,
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [
            {"name": "spec", "mountPath": SPEC_DIR, "readOnly": True},
            restricted.TMP_MOUNT,
            SPOOL_MOUNT,
        ],
    }


def build_spool_volume(classifier: ImageClassifier) -> Object:
    """Return the volume that holds what is not shipped yet."""
    log = classifier.spec.prediction_log
    if log.volume is not None:
        return {"name": "spool", "persistentVolumeClaim": {"claimName": log.volume.claim}}
    return {"name": "spool", "emptyDir": {"sizeLimit": str(log.spool)}}


def build_log_env(classifier: ImageClassifier) -> list[Object]:
    """Return which pod it is, and the stores' credentials."""
    return [
        _build_field_env("POD_NAME", "metadata.name"),
        _build_field_env("POD_NAMESPACE", "metadata.namespace"),
        *build_credentials_env(classifier),
    ]


def build_credentials_env(classifier: ImageClassifier) -> list[Object]:
    """Return the stores' credentials, for the recorder and for what brings a model: values only the kubelet sees.

    A Secret that isn't there holds back no pod, unless it is a managed store's, which the operator makes first.
    """
    namespace, spec = classifier.identity.namespace, classifier.spec
    tracking, storage = resolve_tracking(namespace, spec.tracking), resolve_storage(namespace, spec.storage)
    env: list[Object] = []
    if tracking.secret:
        env += [
            build_secret_env(f"MLFLOW_TRACKING_{key.upper()}", tracking.secret, key, optional=True)
            for key in ("token", "username", "password")
        ]
    if storage.secret:
        optional = spec.storage.mode == "External"
        env += [
            build_secret_env(variable, storage.secret, key, optional=optional)
            for variable, key in (("AWS_ACCESS_KEY_ID", KEY_ID), ("AWS_SECRET_ACCESS_KEY", KEY))
        ]
    return env


def _build_field_env(variable: str, path: str) -> Object:
    # A fieldRef is owned as a whole: with the default left out, the live object would have a key too many.
    return {"name": variable, "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": path}}}
