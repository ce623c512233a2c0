"""Stores a run's artifacts where MLflow says that they belong: its `artifact_uri`."""

from collections.abc import Callable
from pathlib import Path

from classifier_inference.spec.tracking import Storage
from classifier_inference.stores.mlflow_api.run_client import MlflowClient
from classifier_inference.stores.s3.connection import S3Settings
from classifier_inference.stores.s3.objects import S3Store
from classifier_inference.stores.store_error import MlflowError, Trouble

S3_READ_SECONDS = 60


def open_storage(storage: Storage, ca_file: Path | None) -> S3Store:
    """Return the S3 store that a classifier names; its messages name its endpoint."""
    settings = S3Settings(storage.endpoint, storage.region, ca_file, S3_READ_SECONDS)
    return S3Store(settings, shown=storage.endpoint or "S3")


class ArtifactStore:
    """S3 for `s3://` addresses, MLflow itself for `mlflow-artifacts:` ones; raises StoreError as they do."""

    def __init__(self, mlflow: MlflowClient, s3: S3Store, on_stored: Callable[[], None] = lambda: None) -> None:
        """`on_stored` is called whenever S3 took something."""
        self._mlflow = mlflow
        self._s3 = s3
        self._on_stored = on_stored

    def put(self, uri: str, content: bytes | Path) -> None:
        """Store a file at an address; one that was there is replaced."""
        if uri.startswith("s3://"):
            self._s3.put(uri, content)
            self._on_stored()
        else:
            self._mlflow.put_artifact(_require_proxied(uri), content)

    def get(self, uri: str) -> bytes:
        """Return the file at an address."""
        if uri.startswith("s3://"):
            return self._s3.get(uri)
        return self._mlflow.get_artifact(_require_proxied(uri))

    def delete_folder(self, uri: str) -> None:
        """Delete all that lies at an address; it is fine if nothing does."""
        if uri.startswith("s3://"):
            self._s3.delete_folder(uri)
        else:
            self._mlflow.delete_artifacts(_require_proxied(uri))


def _require_proxied(uri: str) -> str:
    if not uri.startswith("mlflow-artifacts:"):
        scheme = uri.partition(":")[0] if ":" in uri else "a folder"
        raise MlflowError(
            Trouble.OUT_OF_REACH,
            f"the experiment's artifacts lie at {scheme}, which only MLflow's own machine reaches: "
            "start its server with --serve-artifacts, or with s3://… as --default-artifact-root",
        )
    return uri
