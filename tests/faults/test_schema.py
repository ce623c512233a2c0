"""Many requests of all that /openapi.json allows, and of what it doesn't."""

from pathlib import Path

from tests.integration.conftest import minio, mlflow, mlflow_folder, run_folder
from tests.integration.server.process import Server
from tests.integration.server.test_documented import documented, expect_nothing_found

__all__ = ["documented", "minio", "mlflow", "mlflow_folder", "run_folder"]

REQUESTS = 500


def test_schemathesis_finds_nothing(documented: Server, tmp_path: Path) -> None:
    expect_nothing_found(documented, tmp_path, REQUESTS)
