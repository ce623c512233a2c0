"""A server that asks for API keys: who is let in, what the rest is told, and that no key is written down."""

import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import numpy as np
import pytest
import tritonclient.http as triton
from huggingface_hub import InferenceClient
from huggingface_hub.errors import HfHubHTTPError

from tests.integration.prediction_log.stores import wait_until
from tests.integration.server.conftest import Start
from tests.integration.server.kserve_process import ask_by_kserve
from tests.integration.server.process import COMMAND, WAIT_SECONDS, Server, read_answer
from tests.tiny_model import make_image, write_document

PREDICT = "/api/v1/predict"
RED = make_image("red")
KEY, OTHER_KEY, WRONG_KEY = "sesame-one-4711", "sesame-two-0815", "abracadabra-9999"
BEARER = {"Authorization": f"Bearer {KEY}"}
ORIGIN = "https://app.example.com"


def write_keys(folder: Path, **keys: str) -> None:
    """Change the keys as the kubelet does: a new folder, and a link that is swapped."""
    version = Path(tempfile.mkdtemp(prefix="..", dir=folder))
    for name, key in keys.items():
        (version / name).write_text(key)
    (folder / "..data_tmp").symlink_to(version.name)
    (folder / "..data_tmp").replace(folder / "..data")
    for old in folder.iterdir():
        if not old.name.startswith("."):
            old.unlink()
    for name in keys:
        (folder / name).symlink_to(f"..data/{name}")


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    write_keys(folder, one=f"{KEY}\n", two=OTHER_KEY, empty="\n")
    return folder


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, keys: Path) -> Iterator[Server]:
    """A server with two keys, which lets pages of another site in."""
    document = write_document(tmp_path_factory.mktemp("guarded"), auth={"secret": "photos-keys"})
    settings = {"CLASSIFIER_ROOT_PATH": "/photos", "CLASSIFIER_LOG_LEVEL": "debug", "CLASSIFIER_CORS": ORIGIN}
    server = Server(document, f"--api-keys={keys}", **settings).wait_until_ready()
    yield server
    server.kill()
    for secret in (KEY, OTHER_KEY, WRONG_KEY):
        assert secret not in server.text


@pytest.fixture
def client(guarded: Server) -> Iterator[httpx2.Client]:
    with guarded.client() as client:
        yield client


@pytest.mark.parametrize(
    "headers",
    [
        BEARER,
        {"authorization": f"bearer  {KEY}"},
        {"X-API-Key": KEY},
        {"X-API-Key": OTHER_KEY},
        {"X-API-Key": WRONG_KEY, "Authorization": f"Bearer {OTHER_KEY}"},
    ],
)
def test_who_brings_a_key_is_let_in(client: httpx2.Client, headers: dict[str, str]) -> None:
    answer = client.post(PREDICT, content=RED, headers=headers)
    assert answer.json()["predictions"][0]["label"] == "red"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": f"Bearer {WRONG_KEY}"},
        {"Authorization": f"Basic {KEY}"},
        {"Authorization": KEY},
        {"Authorization": "Bearer"},
        {"Authorization": ""},
        {"X-API-Key": ""},
        {"X-API-Key": KEY[:-1]},
        {"X-API-Key": f"{KEY}{KEY}"},
        {"X-API-Key": "\xe9"},
        {"Cookie": f"key={KEY}"},
    ],
)
def test_who_brings_none_is_told_how(client: httpx2.Client, headers: dict[str, str]) -> None:
    answer = client.post(PREDICT, content=RED, headers=[(k.encode(), v.encode("latin-1")) for k, v in headers.items()])
    problem = answer.json()
    assert (answer.status_code, problem["type"].rpartition("/")[2]) == (401, "unauthorized")
    assert (answer.headers["WWW-Authenticate"], answer.headers["Content-Type"]) == (
        "Bearer",
        "application/problem+json",
    )
    assert problem["request_id"] == answer.headers["X-Request-Id"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", PREDICT),
        ("POST", f"/photos{PREDICT}"),
        ("POST", "/"),
        ("POST", "/photos/"),
        ("POST", "/api/v1/mlflow/log-prediction"),
        ("GET", "/api/v1/mlflow/runs/x"),
        ("GET", "/v2"),
        ("GET", "/v2/models/colours"),
        ("GET", "/v2/models/colours/config"),
        ("GET", "/v2/models/colours/stats"),
        ("POST", "/v2/models/colours/infer"),
        ("POST", "/healthz"),
        ("PUT", "/"),
        ("GET", "/nothing"),
        ("GET", "/photoshealthz"),
        ("GET", "/photos"),
        ("GET", "//healthz"),
        ("GET", "/healthz/"),
        ("GET", "/docs/../v2"),
        ("GET", "/docs/files/../../v2"),
        ("GET", "/%68ealthz/x"),
    ],
)
def test_a_route_that_needs_a_key(guarded: Server, method: str, path: str) -> None:
    with guarded.connect() as connection:  # no client's own idea of paths in between
        connection.sendall(f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n".encode())
        status, _, body = read_answer(connection)
    if path.startswith("/docs/files/"):
        assert status in {401, 404}, body
    else:
        assert status == 401, body


@pytest.mark.parametrize(
    "path", ["/healthz", "/readyz", "/metrics", "/", "/docs", "/openapi.json", "/v2/health/live", "/v2/health/ready"]
)
@pytest.mark.parametrize("prefix", ["", "/photos"])
def test_a_route_that_needs_none(client: httpx2.Client, prefix: str, path: str) -> None:
    assert client.get(f"{prefix}{path}").status_code == 200


def test_health_without_a_key_says_no_more_than_conditions_need(client: httpx2.Client) -> None:
    assert client.get("/api/v1/health").json() == {"status": "serving", "log": None}
    assert client.get("/api/v1/health", headers=BEARER).json()["model"]["name"] == "colours"


def test_a_body_is_refused_unread(guarded: Server) -> None:
    with guarded.connect() as connection:
        head = f"POST {PREDICT} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\nExpect: 100-continue\r\n\r\n"
        connection.sendall(head.encode())
        status, headers, _ = read_answer(connection)
    assert (status, headers["connection"]) == (401, "close")


def test_refusals_are_counted(client: httpx2.Client) -> None:
    client.post(PREDICT, content=RED)
    assert 'classifier_refusals_total{reason="unauthorized"}' in client.get("/metrics").text


def test_openapi_says_which_routes_need_a_key(client: httpx2.Client) -> None:
    document = client.get("/openapi.json").json()
    assert document["components"]["securitySchemes"]["bearer"] == {"type": "http", "scheme": "bearer"}
    assert document["paths"][PREDICT]["post"]["security"] == [{"bearer": []}, {"apiKey": []}]
    assert "401" in document["paths"][PREDICT]["post"]["responses"]
    assert "security" not in document["paths"]["/healthz"]["get"]


def test_a_preflight_needs_no_key_and_an_answer_can_be_read(client: httpx2.Client) -> None:
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type"}
    preflight = client.options(PREDICT, headers={"Origin": ORIGIN, **asked})
    assert preflight.status_code == 200
    assert preflight.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert "authorization" in preflight.headers["Access-Control-Allow-Headers"].lower()
    for headers, status in (({}, 401), (BEARER, 200)):
        answer = client.post(PREDICT, content=RED, headers={"Origin": ORIGIN, **headers})
        assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (status, ORIGIN)
        assert {"X-Request-Id", "Retry-After"} <= set(answer.headers["Access-Control-Expose-Headers"].split(", "))


def test_a_page_of_another_site_is_not_let_in(client: httpx2.Client) -> None:
    answer = client.post(PREDICT, content=RED, headers={"Origin": "https://other.example.com", **BEARER})
    assert "Access-Control-Allow-Origin" not in answer.headers
    asked = {"Origin": "https://other.example.com", "Access-Control-Request-Method": "POST"}
    assert "Access-Control-Allow-Origin" not in client.options(PREDICT, headers=asked).headers


def ask_by_triton(server: Server, headers: dict[str, str]) -> str:
    with triton.InferenceServerClient(server.url.removeprefix("http://"), network_timeout=WAIT_SECONDS) as client:
        tensor = triton.InferInput("image", [1], "BYTES")
        tensor.set_data_from_numpy(np.array([RED], object))
        wanted = triton.InferRequestedOutput("scores", class_count=1)
        # A copy: the client adds headers of its own to what it is given.
        answer = client.infer("colours", [tensor], outputs=[wanted], headers={**headers}).as_numpy("scores")
        return str(answer.flat[0].decode().rpartition(":")[2])


def ask_by_hugging_face(server: Server, headers: dict[str, str]) -> str:
    token = headers["Authorization"].removeprefix("Bearer ") if headers else None
    client = InferenceClient(base_url=server.url, token=token, timeout=WAIT_SECONDS)
    return client.image_classification(RED)[0].label


@pytest.mark.parametrize(
    ("ask", "error"),
    [
        (ask_by_triton, triton.InferenceServerException),
        (ask_by_hugging_face, HfHubHTTPError),
    ],
)
def test_others_clients_bring_a_key(
    guarded: Server, ask: Callable[[Server, dict[str, str]], str], error: type[Exception]
) -> None:
    assert ask(guarded, BEARER) == "red"
    with pytest.raises(error, match="API key"):
        ask(guarded, {})


def test_kserve_client_brings_a_key(guarded: Server, tmp_path: Path) -> None:
    (tmp_path / "red.png").write_bytes(RED)
    told = ask_by_kserve(guarded.url, "colours", tmp_path / "red.png", **BEARER)
    assert (told["ready"], told["model_ready"], told["bad"]) == (True, True, 400)
    assert np.argmax(told["json"]["scores"][0]) == 0


def run_classify(server: Server, path: Path, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    command = [COMMAND, "classify", str(path), f"--url={server.url}", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **environment})


def test_classify_brings_a_key(guarded: Server, tmp_path: Path) -> None:
    (tmp_path / "red.png").write_bytes(RED)
    assert "red" in run_classify(guarded, tmp_path / "red.png", f"--api-key={KEY}").stdout
    assert "red" in run_classify(guarded, tmp_path / "red.png", CLASSIFIER_API_KEY=OTHER_KEY).stdout
    refused = run_classify(guarded, tmp_path / "red.png")
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    assert "An API key is needed: send an API key" in refused.stderr


def test_keys_are_rotated_without_a_restart(start: Start, tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    folder.mkdir()
    write_keys(folder, one=KEY)
    server = start(f"--api-keys={folder}").wait_until_ready()
    with server.client() as client:

        def ask(key: str) -> int:
            return client.post(PREDICT, content=RED, headers={"X-API-Key": key}).status_code

        assert (ask(KEY), ask(OTHER_KEY)) == (200, 401)
        write_keys(folder, one=KEY, two=OTHER_KEY)
        wait_until(lambda: ask(OTHER_KEY) == 200, "a key to be known")
        assert ask(KEY) == 200
        write_keys(folder, two=OTHER_KEY)
        wait_until(lambda: ask(KEY) == 401, "a key to be forgotten")
        assert ask(OTHER_KEY) == 200
        write_keys(folder)
        wait_until(lambda: ask(OTHER_KEY) == 401, "the last key to be forgotten")
        assert client.get("/readyz").status_code == 503
        assert client.get("/healthz").status_code == 200


@pytest.mark.parametrize("kind", ["no folder", "an empty folder", "an empty key", "a folder that isn't there"])
def test_a_server_that_ought_to_ask_for_keys_is_never_open(start: Start, tmp_path: Path, kind: str) -> None:
    folder, note = tmp_path / "keys", tmp_path / "termination-log"
    note.touch()
    arguments = [] if kind == "no folder" else [f"--api-keys={folder}"]
    if kind != "a folder that isn't there":
        folder.mkdir()
    if kind == "an empty key":
        (folder / "one").write_text(" \n")
    environment = {"CLASSIFIER_TERMINATION_LOG": str(note)}
    server = start(*arguments, environment=environment, auth={"secret": "photos-keys"})
    assert server.end() == 1
    told = json.loads(note.read_text())
    assert told["reason"] == "ApiKeysMissing"
    assert ("--api-keys" if kind == "no folder" else "the Secret photos-keys") in told["message"]
