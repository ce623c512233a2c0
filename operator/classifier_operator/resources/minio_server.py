"""MinIO: the S3 store that the objects of a namespace share."""

from typing import Any

from classifier_inference.spec.tracking import MANAGED_BUCKET
from classifier_operator.managed_stores import Minio
from classifier_operator.names import MINIO_PORT, build_shared_name
from classifier_operator.resources import restricted
from classifier_operator.resources.credentials import KEY, KEY_ID, build_secret_env
from classifier_operator.resources.http_probe import build_probe
from classifier_operator.resources.stateful_set import DATA_DIR, build_container, build_stateful_set
from classifier_operator.settings import Settings

Object = dict[str, Any]


def build_minio(namespace: str, minio: Minio, settings: Settings, live: Object | None) -> Object:
    """Return the StatefulSet."""
    pod = {"initContainers": [_build_bucket(settings)], "containers": [_build_server(minio, settings)]}
    return build_stateful_set(namespace, minio.name, pod, settings.minio_volume, live)


def _build_bucket(settings: Settings) -> Object:
    """Return the container that makes the bucket: on a single drive that is a folder, which MinIO takes as it is.

    MinIO's image has no shell; the server's image is on the node anyway.
    """
    command = ["mkdir", "-p", f"{DATA_DIR}/{MANAGED_BUCKET}"]
    return build_container("bucket", settings.server_image_cpu, settings, command=command)


def _build_server(minio: Minio, settings: Settings) -> Object:
    secret = build_shared_name(minio.name)
    return build_container(
        "minio",
        settings.minio_image,
        settings,
        args=["server", DATA_DIR, "--address", f":{MINIO_PORT}"],
        env=[
            build_secret_env("MINIO_ROOT_USER", secret, KEY_ID),
            build_secret_env("MINIO_ROOT_PASSWORD", secret, KEY),
            {"name": "MINIO_BROWSER", "value": "off"},
            # How full it is: numbers alone, and for the recorders, which have no other way to know.
            {"name": "MINIO_PROMETHEUS_AUTH_TYPE", "value": "public"},
            {"name": "HOME", "value": restricted.TMP_MOUNT["mountPath"]},
        ],
        ports=[{"name": "http", "containerPort": MINIO_PORT}],
        resources={"requests": {"cpu": "50m", "memory": "256Mi"}},
        readinessProbe=build_probe("/minio/health/ready", period=2, failures=3),
        livenessProbe=build_probe("/minio/health/live", period=10, failures=6),
    )
