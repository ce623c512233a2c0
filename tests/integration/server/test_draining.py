"""SIGTERM: not ready at once, answering for a while, then closed to what is new, and the end with the last answer."""

import json
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import httpx2
import pytest

from tests.integration.prediction_log.stores import wait_until
from tests.integration.server.conftest import Start
from tests.integration.server.process import Server, read_answer
from tests.tiny_model import make_image

PREDICT = "/api/v1/predict"
BLUE = make_image("blue")
SLOW_IMAGE = make_image("red", (4000, 4000))
PATIENT = {"bodyTimeout": "10m"}
"""However busy this machine is, half a request is waited for."""


def wait_for_status(server: Server, path: str, status: int | None) -> None:
    """Ask until the answer has the status; None waits until nothing is taken any more."""

    def ask() -> int | None:
        assert server.process.poll() is None, "the server has ended"
        try:
            return client.get(path, headers={"Connection": "close"}).status_code
        except httpx2.TransportError:
            return None

    with server.client() as client:
        wait_until(lambda: ask() == status, f"{path} to be answered with {status}")


def wait_for_metric(server: Server, name: str, least: float) -> None:
    def read() -> float:
        lines = client.get("/metrics").text.splitlines()
        return next(float(line.split()[1]) for line in lines if line.startswith(f"{name} "))

    with server.client() as client:
        wait_until(lambda: read() >= least, f"{name} to be {least:g}")


def render_head(path: str = PREDICT, length: int = len(BLUE)) -> bytes:
    return f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n".encode()


@contextmanager
def half_sent(server: Server) -> Iterator[socket.socket]:
    """A connection on which half a request has come, and is being answered."""
    with server.connect() as connection:
        connection.sendall(render_head() + BLUE[:10])
        wait_for_metric(server, "classifier_requests_in_flight", 1)
        yield connection


def finish(connection: socket.socket) -> None:
    """Send the other half, and see that it is answered."""
    connection.sendall(BLUE[10:])
    status, headers, body = read_answer(connection)
    assert (status, json.loads(body)["predictions"][0]["label"]) == (200, "blue")
    assert headers["connection"] == "close"
    assert connection.recv(1) == b""


def test_after_sigterm_answers_go_on_and_close_their_connections(start: Start) -> None:
    server = start("--drain-seconds=600").wait_until_ready()
    with server.client() as client, server.connect() as kept:
        assert "Connection" not in client.post(PREDICT, content=BLUE).headers
        kept.sendall(render_head() + BLUE)
        assert "connection" not in read_answer(kept)[1]
        server.send(signal.SIGTERM)
        wait_for_status(server, "/readyz", 503)
        kept.sendall(render_head() + BLUE)
        status, headers, _ = read_answer(kept)
        assert (status, headers["connection"], kept.recv(1)) == (200, "close", b"")
        with server.client() as new:
            for one in (new, client):
                answer = one.post(PREDICT, content=BLUE)
                assert answer.json()["predictions"][0]["label"] == "blue"
                assert answer.headers["Connection"] == "close"
            refused = new.post(PREDICT, content=b"hello")
            assert (refused.status_code, refused.headers["Connection"]) == (400, "close")
        assert client.get("/healthz").status_code == 200
        health = client.get("/api/v1/health")
        assert (health.status_code, health.json()["status"]) == (200, "draining")
    server.send(signal.SIGTERM)
    assert server.end() == 0
    assert "Traceback" not in server.text


def test_when_the_drain_ends_listener_and_idle_connections_close_and_what_is_in_flight_goes_on(start: Start) -> None:
    server = start("--drain-seconds=1", limits=PATIENT).wait_until_ready()
    with half_sent(server) as in_flight, server.connect() as silent, server.connect() as used:
        used.sendall(render_head() + BLUE)
        assert read_answer(used)[0] == 200
        server.send(signal.SIGTERM)
        sent = time.monotonic()
        assert (silent.recv(1), used.recv(1)) == (b"", b"")
        assert time.monotonic() - sent >= 1
        with pytest.raises(ConnectionRefusedError):
            server.connect()
        assert server.process.poll() is None
        finish(in_flight)
    assert server.end() == 0
    assert "Traceback" not in server.text


def test_what_waits_in_the_queue_when_the_drain_ends_is_answered(start: Start) -> None:
    server = start("--drain-seconds=0", limits={"queue": 100}).wait_until_ready()
    with ExitStack() as opened:
        connections = [opened.enter_context(server.connect()) for _ in range(8)]
        for connection in connections:
            connection.sendall(render_head(length=len(SLOW_IMAGE)) + SLOW_IMAGE[:-1])
        wait_for_metric(server, "classifier_requests_in_flight", 8)
        for connection in connections:
            connection.sendall(SLOW_IMAGE[-1:])
        wait_for_metric(server, "classifier_queue_length", 1)
        server.send(signal.SIGTERM)
        answers = [read_answer(connection) for connection in connections]
    assert {status for status, _, _ in answers} == {200}
    assert "close" in {headers.get("connection") for _, headers, _ in answers}
    assert server.end() == 0


def test_who_stalls_does_not_hold_back_the_end(start: Start) -> None:
    server = start("--drain-seconds=0", limits={"bodyTimeout": "1s"}).wait_until_ready()
    with half_sent(server) as stalled:
        server.send(signal.SIGTERM)
        status, headers, _ = read_answer(stalled)
    assert (status, headers["connection"]) == (408, "close")
    assert server.end() == 0


def test_ctrl_c_ends_without_draining(start: Start) -> None:
    server = start("--drain-seconds=600").wait_until_ready()
    server.send(signal.SIGINT)
    assert server.end() == 0


def test_a_second_signal_cuts_the_drain_short_and_nothing_else(start: Start) -> None:
    server = start("--drain-seconds=600", limits=PATIENT).wait_until_ready()
    with half_sent(server) as in_flight:
        server.send(signal.SIGTERM)
        wait_for_status(server, "/readyz", 503)
        server.send(signal.SIGTERM)
        wait_for_status(server, "/healthz", None)
        server.send(signal.SIGTERM)
        finish(in_flight)
    assert server.end() == 0
    assert "Traceback" not in server.text
