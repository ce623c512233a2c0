"""The stores that the operator runs where an object says `Managed`: what they are, and where pods find them."""

from dataclasses import dataclass

from classifier_inference.spec.tracking import MANAGED_BUCKET, Storage, Tracking
from classifier_operator.names import MINIO_PORT, MLFLOW_PORT, build_shared_name


@dataclass(frozen=True)
class Minio:
    """A MinIO server, with its bucket."""

    name: str

    def describe(self) -> str:
        """Return what it is, for a sentence."""
        return "MinIO"


@dataclass(frozen=True)
class Mlflow:
    """An MLflow server, and where its runs' artifacts go: mode External, or None for its own volume."""

    name: str
    storage: Storage

    def describe(self) -> str:
        """Return what it is, for a sentence."""
        if self.storage.mode == "None":
            return "MLflow with artifacts on its own volume"
        return f"MLflow with artifacts in {build_artifact_root(self.storage)} of {self.storage.endpoint}"


Shared = Minio | Mlflow


def resolve_tracking(namespace: str, tracking: Tracking) -> Tracking:
    """Return the MLflow server by its address: mode External or None."""
    if tracking.mode != "Managed":
        return tracking if tracking.mode == "External" else Tracking()
    return Tracking(mode="External", uri=f"http://{build_shared_name(tracking.name)}.{namespace}.svc:{MLFLOW_PORT}")


def resolve_storage(namespace: str, storage: Storage) -> Storage:
    """Return the store by its address: mode External or None."""
    if storage.mode != "Managed":
        return storage if storage.mode == "External" else Storage()
    name = build_shared_name(storage.name)
    return Storage(
        mode="External",
        endpoint=f"http://{name}.{namespace}.svc:{MINIO_PORT}",
        region="us-east-1",
        bucket=MANAGED_BUCKET,
        secret=name,
    )


def build_artifact_root(storage: Storage) -> str:
    """Return where a resolved store keeps runs' artifacts."""
    return f"s3://{storage.bucket}/artifacts"
