"""How soon a route that needs MLflow says that it is away: sooner than a client that waits two seconds gives up."""

import socket
import statistics
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import httpx2

from tests.integration.server.process import Server
from tests.tiny_model import write_document

ROUNDS = 10
CLIENT_SECONDS = 2


def measure(ask: Callable[[], object]) -> float:
    started = time.monotonic()
    ask()
    return time.monotonic() - started


def give_up(url: str) -> None:
    """Ask as a client does that waits for an answer for two seconds."""
    try:
        httpx2.get(url, timeout=CLIENT_SECONDS)
    except httpx2.TimeoutException:
        return
    raise AssertionError("it was answered")


def test_with_an_mlflow_that_hangs_the_answer_comes_before_a_client_gives_up(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=1000) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        document = write_document(tmp_path, tracking={"mode": "External", "uri": url})
        server = Server(document, f"--files={tmp_path}", f"--spool={tmp_path / 'spool'}", POD_NAME="pod-1")
        ours, theirs = [], []
        try:
            with server.wait_until_ready().client() as client:
                for _ in range(ROUNDS):
                    ours.append(measure(lambda: client.get(f"/api/v1/mlflow/runs/{uuid.uuid4().hex}")))
                    theirs.append(measure(lambda: give_up(url)))
        finally:
            server.kill()
    share = statistics.median(ours) / statistics.median(theirs)
    print(f"\nwith MLflow hanging: {share:.2f} of what a client waits that gives up after {CLIENT_SECONDS} s")
    assert share < 1
