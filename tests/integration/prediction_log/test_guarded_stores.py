"""Stores that want to know who asks, and when."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx2
import pytest

from classifier_inference.report.sink_state import SinkReason
from tests.integration.prediction_log.conftest import Recording
from tests.integration.prediction_log.windows import write_window
from tests.integration.server.process import WAIT_SECONDS

START = 1_790_000_000_000
SLOW_CLOCK = """
import datetime
import botocore.auth

now = botocore.auth.get_current_datetime
botocore.auth.get_current_datetime = lambda *given, **named: now(*given, **named) - datetime.timedelta(hours=1)
"""


@contextmanager
def guarded(mlflow: str, wanted: str) -> Iterator[str]:
    """A server before MLflow's that lets in who shows these credentials; yields its address."""

    class Guard(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if self.headers.get("Authorization") == wanted:
                headers = {"Content-Type": self.headers.get("Content-Type", "")}
                answer = httpx2.request(
                    self.command, mlflow + self.path, content=body, headers=headers, timeout=WAIT_SECONDS
                )
                status, content = answer.status_code, answer.content
            else:
                status, content = 401, b"Who are you?"
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_GET  # noqa: N815 - http.server's name for it

        def log_message(self, *arguments: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Guard) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("keys", "wanted"),
    [
        ({"MLFLOW_TRACKING_TOKEN": "passw0rd"}, "Bearer passw0rd"),
        ({"MLFLOW_TRACKING_USERNAME": "us", "MLFLOW_TRACKING_PASSWORD": "passw0rd"}, "Basic dXM6cGFzc3cwcmQ="),
    ],
)
def test_an_mlflow_behind_a_token_or_a_password_is_logged_to_and_told_of_without_them(
    recording: Recording, keys: dict[str, str], wanted: str
) -> None:
    write_window(recording.own, START)
    with guarded(recording.to_mlflow.url, wanted) as url:
        recording.tracking_uri = url
        nobody = recording.start()
        state = recording.wait_for_state(lambda state: state.tracking.ready is False)
        assert state.tracking.reason is SinkReason.REFUSED
        assert "answered 401 Who are you?" in state.tracking.message
        nobody.kill()
        known = recording.start(keys=keys)
        recording.wait_until_shipped()
        known.kill()
    assert [run.status for run in recording.runs()] == ["FINISHED"]
    assert "passw0rd" not in known.text


def test_stores_behind_an_authority_of_their_own_take_what_is_logged_by_the_given_file_alone(
    recording: Recording, tmp_path: Path
) -> None:
    write_window(recording.own, START)
    ca_file = recording.go_behind_tls(tmp_path)
    trusting_nobody = recording.start()
    state = recording.wait_for_state(
        lambda state: state.tracking.ready is False and state.storage and state.storage.ready is False
    )
    assert state.storage is not None
    assert (state.tracking.reason, state.storage.reason) == (SinkReason.UNREACHABLE, SinkReason.UNREACHABLE)
    assert "certificate" in state.tracking.message
    assert "certificate is not trusted" in state.storage.message
    trusting_nobody.kill()
    recording.start(keys={"CLASSIFIER_CA_FILE": str(ca_file)})
    recording.wait_until_shipped()
    (run,) = recording.runs()
    assert run.status == "FINISHED"
    assert recording.keys()


def test_a_store_whose_clock_is_another_is_told_in_its_own_words(recording: Recording, tmp_path: Path) -> None:
    patch = tmp_path / "patch"
    patch.mkdir()
    (patch / "sitecustomize.py").write_text(SLOW_CLOCK)
    window = write_window(recording.own, START)
    late = recording.start(keys={"PYTHONPATH": os.pathsep.join([str(patch), os.environ.get("PYTHONPATH", "")])})
    state = recording.wait_for_state(lambda state: state.storage and state.storage.ready is False)
    assert state.storage is not None
    assert state.storage.reason is SinkReason.REFUSED
    assert (
        "RequestTimeTooSkewed: The difference between the request time and the server's time" in state.storage.message
    )
    late.kill()
    recording.start()
    recording.wait_until_shipped()
    assert [run.tags["imageclassifier.window"] for run in recording.runs()] == [window.id]
