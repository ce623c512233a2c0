"""A real MinIO and a real MLflow, started once: tests keep apart by buckets' folders and by names of their own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.prediction_log.stores import Store, start_minio, start_mlflow


@pytest.fixture(scope="session")
def minio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    store = start_minio(tmp_path_factory.mktemp("minio"))
    yield store
    store.stop()


@pytest.fixture(scope="session")
def mlflow_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where MLflow keeps its database."""
    return tmp_path_factory.mktemp("mlflow")


@pytest.fixture(scope="session")
def mlflow(mlflow_folder: Path, minio: Store) -> Iterator[Store]:
    store = start_mlflow(mlflow_folder, minio.url)
    yield store
    store.stop()
