"""What /openapi.json says is what the server does: schemathesis asks every route, with what fits and what doesn't."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from classifier_inference.http.problem import MEDIA_TYPE, Kind
from tests.integration.prediction_log.stores import BUCKET, Store, credentials
from tests.integration.prediction_log.test_routes import insist
from tests.integration.server.process import Server
from tests.tiny_model import make_image, write_document

SCHEMATHESIS = str(Path(sys.executable).with_name("schemathesis"))
REQUESTS = 10
"""For each operation, beside those that every constraint of its schema gives; `make faults PART=schema` sends more."""

API_KEY = "sesame-4711"
HEADERS = {"X-API-Key": API_KEY}
LOG = {"image_path": "cat.jpg", "predictions": [["red", 0.9]]}

OF_NO_ROUTE = {"no-such-route", "method-not-allowed", "malformed-request"}

# No schema says which bytes are an image, nor which file is there.
CONFIG = """
[parameters]
name = "colours"
version = "1"
run_id = "{run_id}"

[auth.openapi.bearer]
bearer = "{api_key}"

[checks.positive_data_acceptance]
expected-statuses = ["2xx", 400, 403, 404, 413, 415, 422, 429]

# MLflow's first sign of life has a bound of its own, which a busy machine exceeds.
[[operations]]
include-path-regex = "^/api/v1/mlflow/"
[operations.checks.not_a_server_error]
expected-statuses = ["2xx", "3xx", "4xx", 503]
[operations.checks.positive_data_acceptance]
expected-statuses = ["2xx", 400, 403, 404, 413, 415, 422, 429, 503]

# Without a key, which these are asked without, a method that they lack is 401 rather than 405.
[[operations]]
include-path-regex = "^(/healthz|/readyz|/metrics|/api/v1/health|/v2/health/.*)$"
[operations.checks.unsupported_method]
enabled = false
"""


@pytest.fixture(scope="module")
def documented(tmp_path_factory: pytest.TempPathFactory, mlflow: Store, minio: Store) -> Iterator[Server]:
    """A server with everything on: paths, all formats, tracking, API keys, pages of other sites."""
    folder = tmp_path_factory.mktemp("documented")
    (folder / "cat.jpg").write_bytes(make_image("red", kind="JPEG"))
    (folder / "keys").mkdir()
    (folder / "keys/one").write_text(API_KEY)
    document = write_document(
        folder,
        limits={"formats": ["jpeg", "png", "webp", "gif", "bmp", "tiff"]},
        tracking={"mode": "External", "uri": mlflow.url},
        storage={"mode": "External", "endpoint": minio.url, "bucket": BUCKET},
        predictionLog={"experiment": "documented"},
        auth={"secret": "keys"},
    )
    environment = {"IMAGE_ROOT": str(folder), "CLASSIFIER_CORS": "*", **credentials()}
    options = [f"--files={folder}", f"--spool={folder / 'spool'}", f"--api-keys={folder / 'keys'}"]
    server = Server(document, *options, **environment).wait_until_ready()
    yield server
    server.kill()


@pytest.fixture(scope="module")
def operations(documented: Server) -> dict[str, dict[str, Any]]:
    """Every operation by its name."""
    with documented.client() as client:
        paths = client.get("/openapi.json").json()["paths"]
    return {f"{method.upper()} {path}": operation for path in paths for method, operation in paths[path].items()}


def expect_nothing_found(documented: Server, folder: Path, requests: int) -> None:
    with documented.client() as client:
        made = insist(lambda: client.post("/api/v1/mlflow/log-prediction", json=LOG, headers=HEADERS))
        run_id = made.json()["run_id"]
    (folder / "schemathesis.toml").write_text(CONFIG.format(run_id=run_id, api_key=API_KEY))
    done = subprocess.run(
        [
            *(SCHEMATHESIS, "--no-color", "run", f"{documented.url}/openapi.json"),
            *("--generation-deterministic", f"--max-examples={requests}", "--continue-on-failure"),
            *("--suppress-health-check=all", "--request-timeout=120"),
        ],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert documented.process.poll() is None


def test_schemathesis_finds_nothing(documented: Server, tmp_path: Path) -> None:
    expect_nothing_found(documented, tmp_path, REQUESTS)


def test_every_error_is_documented_as_a_problem(operations: dict[str, dict[str, Any]]) -> None:
    health = {"GET /readyz", "GET /api/v1/health", "GET /v2/health/ready"}
    for name in operations.keys() - health:
        for status, response in operations[name]["responses"].items():
            if status >= "400":
                assert MEDIA_TYPE in response["content"], (name, status)


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind.slug not in OF_NO_ROUTE])
def test_every_problem_is_documented_at_some_route(operations: dict[str, dict[str, Any]], kind: Kind) -> None:
    responses = [operation["responses"].get(str(kind.status), {}) for operation in operations.values()]
    examples = [response.get("content", {}).get(MEDIA_TYPE, {}).get("examples", {}) for response in responses]
    assert any(kind.slug in names for names in examples)


@pytest.mark.parametrize("path", ["/%00", "/api/v1/predict%00", "/v2/models/%00/infer", "/%ff%fe", "//", "/..%2f..%2f"])
def test_a_path_that_is_none_is_not_found(documented: Server, path: str) -> None:
    with documented.client() as client:
        answer = client.post(httpx2.URL(documented.url, raw_path=path.encode()), headers=HEADERS)
    assert (answer.status_code, answer.headers["Content-Type"]) == (404, MEDIA_TYPE)
