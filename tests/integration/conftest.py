"""A real MinIO and a real MLflow, started once for all tests: they keep apart by names of their own."""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from tests.integration.prediction_log.stores import (
    MINIO_HEALTH,
    MLFLOW_HEALTH,
    Store,
    share,
    start_minio,
    start_mlflow,
)

LONGEST_FIRST = (
    "test_local.py",
    "test_make_run.py",
    "test_recorder_failures.py",
    "test_registry.py",
    "test_fetch.py",
    "test_push.py",
    "test_routes.py",
    "test_addresses.py",
    "test_stalls.py",
    "test_documented.py",
    "test_s3.py",
    "test_lifecycle.py",
    "test_spans.py",
    "test_exported.py",
    "test_authorities.py",
    "test_spooling.py",
    "test_recorder.py",
    "test_draining.py",
    "test_page.py",
)
"""Files by the time that they take, as `--durations` tells it; all others take less. So no process waits for one at the
end."""


ON_THE_USUAL_PORT = ("test_local.py", "test_make_run.py")
"""Files whose tests would wait for each other in two processes: they run in one."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = {name: place for place, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: places.get(item.path.name, len(places)))


class ByFiles(LoadScopeScheduling):  # type: ignore[misc]
    """Gives a process a file at a time, in the order of the collection."""

    def _split_scope(self, nodeid: str) -> str:
        path, _, _ = nodeid.partition("::")
        return "usual port" if Path(path).name in ON_THE_USUAL_PORT else path


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByFiles:
    config.option.loadscopereorder = False
    return ByFiles(config, log)


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of this run, where several processes share it."""
    folder = tmp_path_factory.getbasetemp()
    return folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder


@pytest.fixture
def usual_port() -> Iterator[None]:
    """Keep others on this machine from starting an MLflow on the first free port from its usual one on, for a while.

    Two that look for one at the same time find the same.
    """
    with (Path(tempfile.gettempdir()) / f"mlflow-port-{os.getuid()}").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def minio(run_folder: Path) -> Iterator[Store]:
    folder = run_folder / "minio"
    with share(folder, MINIO_HEALTH, lambda users: start_minio(folder, users)) as store:
        yield store


@pytest.fixture(scope="session")
def mlflow_folder(run_folder: Path) -> Path:
    """Where MLflow keeps its database."""
    return run_folder / "mlflow"


@pytest.fixture(scope="session")
def mlflow(mlflow_folder: Path, minio: Store) -> Iterator[Store]:
    with share(mlflow_folder, MLFLOW_HEALTH, lambda users: start_mlflow(mlflow_folder, minio.url, users)) as store:
        yield store
