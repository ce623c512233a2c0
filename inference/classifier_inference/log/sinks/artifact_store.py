"""Stores a run's artifacts where MLflow says that they belong: its `artifact_uri`."""

from collections.abc import Callable
from pathlib import Path

from classifier_inference.report.sink_state import SinkReason
from classifier_inference.stores.mlflow_api.run_client import MlflowClient
from classifier_inference.stores.s3.objects import S3Store
from classifier_inference.stores.store_error import Sink, SinkError


class ArtifactStore:
    """S3 for `s3://` addresses, MLflow itself for `mlflow-artifacts:` ones; raises SinkError as they do."""

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
        raise SinkError(
            Sink.TRACKING,
            SinkReason.REFUSED,
            f"the experiment's artifacts lie at {scheme}, which only MLflow's own machine reaches: "
            "start its server with --serve-artifacts, or with s3://… as --default-artifact-root",
        )
    return uri
