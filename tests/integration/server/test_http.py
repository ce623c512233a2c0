"""HTTP as it should be: methods, ids that clients bring, refusals that arrive, clients that leave."""

import json
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx2
import pytest

from tests.integration.prediction_log.stores import wait_until
from tests.integration.server.conftest import Start
from tests.integration.server.process import WAIT_SECONDS, Server, read_answer
from tests.tiny_model import make_image

PREDICT = "/api/v1/predict"
RED = make_image("red")
MIB = 2**20
GET_PATHS = [
    "/", "/healthz", "/readyz", "/metrics", "/docs", "/openapi.json", "/api/v1/health", "/v2", "/v2/health/live",
    "/v2/models/colours", "/v2/models/colours/config", "/docs/files/swagger-ui.css",
]  # fmt: skip


@pytest.mark.parametrize("path", [*GET_PATHS, "/api/healthz"])
def test_head_is_get_without_the_body(client: httpx2.Client, path: str) -> None:
    head, get = client.head(path), client.get(path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["Content-Type"] == get.headers["Content-Type"]
    assert "Content-Length" in head.headers


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        *((path, {"GET", "HEAD", "OPTIONS"}) for path in GET_PATHS if path != "/"),
        ("/", {"GET", "HEAD", "POST", "OPTIONS"}),
        (PREDICT, {"POST", "OPTIONS"}),
        ("/v2/models/colours/infer", {"POST", "OPTIONS"}),
    ],
)
def test_options_and_405_say_which_methods_there_are(client: httpx2.Client, path: str, allowed: set[str]) -> None:
    answer = client.options(path)
    assert (answer.status_code, answer.content) == (204, b"")
    assert set(answer.headers["Allow"].split(", ")) == allowed
    refused = client.delete(path)
    assert refused.status_code == 405
    assert set(refused.headers["Allow"].split(", ")) == allowed


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS"])
def test_what_there_isn_t_is_404_by_any_method(client: httpx2.Client, method: str) -> None:
    assert client.request(method, "/nothing").status_code == 404


@pytest.mark.parametrize("own", ["order-17", "x" * 128, "!~"])
def test_a_client_s_own_id_is_echoed_beside_ours(server: Server, client: httpx2.Client, own: str) -> None:
    answer = client.post(PREDICT, content=RED, headers={"X-Request-Id": own})
    ours = answer.json()["request_id"]
    assert uuid.UUID(ours).version == 7
    assert (answer.headers["X-Request-Id"], answer.headers["X-Classifier-Request-Id"]) == (own, ours)
    assert server.wait_for_request(request_id=ours)["client_request_id"] == own


@pytest.mark.parametrize("own", [b"", b"x" * 129, b"a b", b"a\tb", b"\xe9", b"a, b"])
def test_an_id_that_is_none_is_passed_over(client: httpx2.Client, own: bytes) -> None:
    answer = client.post(PREDICT, content=RED, headers=[(b"X-Request-Id", own)])
    assert answer.headers["X-Request-Id"] == answer.json()["request_id"]
    assert "X-Classifier-Request-Id" not in answer.headers


def test_a_problem_has_both_ids_too(client: httpx2.Client) -> None:
    answer = client.post(PREDICT, content=b"hello", headers={"X-Request-Id": "mine"})
    assert answer.headers["X-Request-Id"] == "mine"
    assert answer.json()["request_id"] == answer.headers["X-Classifier-Request-Id"]


@pytest.mark.parametrize("arguments", [[], ["--header", "Expect:"], ["--header", "Transfer-Encoding: chunked"]])
def test_curl_sees_413_and_no_reset(
    server: Server, client: httpx2.Client, tmp_path: Path, arguments: list[str]
) -> None:
    """Curl waits for leave over 1 MB, unless it is told not to."""
    (tmp_path / "large").write_bytes(b"\xff" * 3 * MIB)
    command = ["curl", "--silent", "--show-error", "--max-time", str(WAIT_SECONDS), "--write-out", "\n%{http_code}"]
    sent = [*arguments, "--data-binary", f"@{tmp_path / 'large'}", f"{server.url}{PREDICT}"]
    done = subprocess.run([*command, *sent], capture_output=True, text=True, timeout=2 * WAIT_SECONDS, check=True)
    body, _, status = done.stdout.rpartition("\n")
    assert (status, json.loads(body)["type"].rpartition("/")[2]) == ("413", "too-many-bytes")


def test_a_client_is_answered_after_a_413(client: httpx2.Client) -> None:
    for _ in range(3):
        assert client.post(PREDICT, content=b"\xff" * 3 * MIB).status_code == 413
        assert client.post(PREDICT, content=RED).status_code == 200


def test_chunks_are_taken_up_to_the_limit(client: httpx2.Client) -> None:
    def cut() -> Iterator[bytes]:
        yield from (RED[begin : begin + 20] for begin in range(0, len(RED), 20))

    assert client.post(PREDICT, content=cut()).json()["predictions"][0]["label"] == "red"


def test_leave_is_given_where_nothing_speaks_against_it(server: Server, client: httpx2.Client) -> None:
    with server.connect() as connection:
        head = f"POST {PREDICT} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(RED)}\r\nExpect: 100-continue\r\n\r\n"
        connection.sendall(head.encode())
        assert connection.recv(1000).startswith(b"HTTP/1.1 100 ")
        connection.sendall(RED)
        assert read_answer(connection)[0] == 200


def read_metric(client: httpx2.Client, name: str) -> float:
    lines = client.get("/metrics").text.splitlines()
    return next((float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{name} ")), 0)


def test_who_goes_away_is_not_worked_for(start: Start) -> None:
    slow, clients = make_image("red", (6000, 6000)), 24
    server = start(limits={"queue": 100}).wait_until_ready()
    head = f"POST {PREDICT} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(slow)}\r\n\r\n".encode()
    with server.client() as client:
        with ExitStack() as connections:
            for _ in range(clients):
                connections.enter_context(server.connect()).sendall(head + slow)
            wait_until(lambda: read_metric(client, "classifier_queue_length") >= clients / 2, "the images to wait")
        wait_until(lambda: read_metric(client, "classifier_requests_in_flight") == 0, "what goes on without clients")
        left = read_metric(client, 'classifier_requests_total{outcome="abandoned"}')
        begun = read_metric(client, 'classifier_request_duration_seconds_count{stage="infer"}')
        # Between looking at the queue and leaving, a few more may have had their turn.
        assert left >= clients / 4
        assert begun <= clients - left
        assert client.post(PREDICT, content=RED).status_code == 200
