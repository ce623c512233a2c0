"""Clients that stall: in their headers, in their body, or a little at a time."""

import json
import signal
import socket
import threading
import time
from collections.abc import Iterator
from itertools import repeat

import pytest

from tests.integration.prediction_log.stores import wait_until
from tests.integration.server.conftest import Start
from tests.integration.server.process import Server, read_answer
from tests.tiny_model import encode, make_image, make_noise, write_document

PREDICT = "/api/v1/predict"
IMAGE = make_image("blue")
HEAD = f"POST {PREDICT} HTTP/1.1\r\nHost: x\r\nContent-Length: {{length}}\r\n\r\n"
IMPATIENT_SECONDS = 1
TRICKLE_SECONDS = 0.2


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that lets a client stall for a second."""
    limits = {"bodyTimeout": f"{IMPATIENT_SECONDS}s"}
    document = write_document(tmp_path_factory.mktemp("impatient"), limits=limits)
    server = Server(document).wait_until_ready()
    yield server
    server.kill()


def trickle(connection: socket.socket, pieces: Iterator[bytes]) -> threading.Event:
    """Send the pieces one after the other, slowly, until the connection ends or the event is set."""
    ended = threading.Event()

    def send() -> None:
        for piece in pieces:
            if ended.wait(TRICKLE_SECONDS):
                return
            try:
                connection.sendall(piece)
            except OSError:
                return

    threading.Thread(target=send, daemon=True).start()
    return ended


def expect_timeout(connection: socket.socket) -> dict[str, str]:
    status, headers, body = read_answer(connection)
    problem: dict[str, str] = json.loads(body)
    assert (status, headers["connection"]) == (408, "close")
    assert headers["content-type"] == "application/problem+json"
    assert problem["type"].endswith("/request-timeout")
    assert problem["request_id"] == headers["x-request-id"]
    assert is_closed(connection)
    return problem


def is_closed(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:  # by what a client sent that did not stop
        return True


@pytest.mark.parametrize("begun", [b"POST", b"POST / HTTP/1.1\r\nHost: x\r\n", b"GET /healthz HTTP/1.1\r\nHo"])
def test_headers_that_stop_are_answered_with_408(impatient: Server, begun: bytes) -> None:
    with impatient.connect() as connection:
        connection.sendall(begun)
        assert "headers" in expect_timeout(connection)["detail"]
    impatient.wait_for_request(status=408, problem="request-timeout")


def test_headers_that_trickle_are_answered_with_408(impatient: Server) -> None:
    with impatient.connect() as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\n")
        ended = trickle(connection, repeat(b"X-Slow: 1\r\n"))
        expect_timeout(connection)
        ended.set()


def test_headers_that_stop_after_an_answer_are_answered_with_408(impatient: Server) -> None:
    with impatient.connect() as connection:
        # The second request's beginning comes with the first, and waits until that is answered.
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET /hea")
        assert read_answer(connection)[0] == 200
        expect_timeout(connection)


def test_headers_that_came_while_the_server_stood_still_are_answered(impatient: Server) -> None:
    with impatient.connect() as connection:
        # What comes in one piece is read at once: after the first answer, the second request has begun.
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET /hea")
        assert read_answer(connection)[0] == 200
        impatient.send(signal.SIGSTOP)
        connection.sendall(b"lthz HTTP/1.1\r\nHost: x\r\n\r\n")
        time.sleep(2 * IMPATIENT_SECONDS)
        impatient.send(signal.SIGCONT)
        assert read_answer(connection)[0] == 200


@pytest.mark.parametrize("sent", [b"", IMAGE[:10]])
def test_a_body_that_stops_is_answered_with_408(impatient: Server, sent: bytes) -> None:
    with impatient.connect() as connection:
        connection.sendall(HEAD.format(length=len(IMAGE)).encode() + sent)
        assert "body" in expect_timeout(connection)["detail"]
    with impatient.client() as client:
        assert 'classifier_refusals_total{reason="request-timeout"}' in client.get("/metrics").text
        assert "classifier_requests_in_flight 0.0" in client.get("/metrics").text


def test_a_body_that_came_while_the_server_stood_still_is_answered(impatient: Server) -> None:
    with impatient.connect() as connection, impatient.client() as client:
        connection.sendall(HEAD.format(length=len(IMAGE)).encode() + IMAGE[:10])
        wait_until(lambda: "classifier_requests_in_flight 1.0" in client.get("/metrics").text, "the request to begin")
        impatient.send(signal.SIGSTOP)
        connection.sendall(IMAGE[10:])
        time.sleep(2 * IMPATIENT_SECONDS)
        impatient.send(signal.SIGCONT)
        assert read_answer(connection)[0] == 200


@pytest.mark.parametrize("path", ["/v2/models/colours/infer", "/"])
def test_a_body_that_stops_is_answered_so_by_every_protocol(impatient: Server, path: str) -> None:
    with impatient.connect() as connection:
        connection.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel".encode())
        assert expect_timeout(connection)["error"]


def test_a_body_that_trickles_is_answered_with_408(impatient: Server) -> None:
    with impatient.connect() as connection:
        connection.sendall(HEAD.format(length=10**6).encode())
        ended = trickle(connection, repeat(b"\xff"))
        expect_timeout(connection)
        ended.set()


def test_a_body_that_comes_slowly_and_steadily_is_answered(start: Start) -> None:
    server = start(limits={"bodyTimeout": "2s"}).wait_until_ready()
    body = encode(make_noise((330, 330)))
    pieces = [body[begin : begin + 16 * 1024] for begin in range(0, len(body), 16 * 1024)]
    with server.connect() as connection:
        connection.sendall(HEAD.format(length=len(body)).encode())
        trickle(connection, iter(pieces))  # takes 4 s, twice what a stall may
        status, _, answer = read_answer(connection)
    assert (status, json.loads(answer).get("detail")) == (200, None)


def test_an_idle_connection_is_no_stall(impatient: Server) -> None:
    with impatient.connect() as idle, impatient.connect() as stalled:
        idle.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert read_answer(idle)[0] == 200
        stalled.sendall(b"GET")
        expect_timeout(stalled)
        idle.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert read_answer(idle)[0] == 200


def test_a_connection_that_has_sent_nothing_is_no_stall(impatient: Server) -> None:
    with impatient.connect() as silent, impatient.connect() as stalled:
        stalled.sendall(b"GET")
        expect_timeout(stalled)
        silent.sendall(HEAD.format(length=len(IMAGE)).encode() + IMAGE)
        assert read_answer(silent)[0] == 200


def test_a_request_that_takes_long_to_answer_is_no_stall(impatient: Server) -> None:
    slow = make_image("red", (7000, 7000))
    with impatient.client() as client:
        answers = [client.post(PREDICT, content=slow) for _ in range(3)]
    assert {answer.status_code for answer in answers} == {200}


def test_what_is_no_http_is_a_problem_too(impatient: Server) -> None:
    with impatient.connect() as connection:
        connection.sendall(b"hello\r\n\r\n")
        status, headers, body = read_answer(connection)
        assert (status, headers["content-type"]) == (400, "application/problem+json")
        assert json.loads(body)["type"].endswith("/malformed-request")
        assert connection.recv(1) == b""
