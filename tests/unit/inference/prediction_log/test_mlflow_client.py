"""What answers strangely where MLflow should be: told, and neither waited for nor read for ever."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from classifier_inference.log.sinks.sink_failure import Sink, SinkFailure, judge_failure
from classifier_inference.report.sink_state import SinkReason
from classifier_inference.stores.mlflow_api import run_client
from classifier_inference.stores.mlflow_api.run_client import MlflowClient, connect
from classifier_inference.stores.store_error import StoreError, UncertainError

RUN = "0" * 32


@contextmanager
def answering(content: bytes, *, for_ever: bool = False) -> Iterator[str]:
    """A server that answers with the content, once or again and again; yields its address."""
    ended = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(content)
            try:
                while for_ever and not ended.wait(0.02):
                    self.wfile.write(content)
            except OSError:
                return

        do_POST = do_GET  # noqa: N815 - http.server's name for it

        def log_message(self, *arguments: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        ended.set()
        server.shutdown()
        thread.join()


ASKS: dict[str, Callable[[MlflowClient], object]] = {
    "experiment": lambda mlflow: mlflow.find_experiment("photos"),
    "create": lambda mlflow: mlflow.create_run("1", "name", 0, {}),
    "search": lambda mlflow: list(mlflow.find_runs("1", "")),
    "run": lambda mlflow: mlflow.get_run(RUN),
    "artifacts": lambda mlflow: mlflow.list_artifacts(RUN),
}


@pytest.mark.parametrize("ask", ASKS)
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"null",
        b"\xff\xfe",
        b"<html>Welcome</html>",
        b'["run"]',
        b'{"run": {}, "runs": [{}], "experiment": {}, "files": [{}]}',
        b'{"run": 1, "runs": 1, "experiment": 1, "files": 1}',
        b'{"run": null, "runs": [null], "experiment": null, "files": [null]}',
        b'{"run": {"info": 1}, "runs": [{"info": "x"}], "experiment": "x", "files": "x"}',
    ],
)
def test_what_is_not_what_mlflow_says_is_told(ask: str, content: bytes) -> None:
    with answering(content) as url, pytest.raises(StoreError, match="does not answer as MLflow does") as caught:
        ASKS[ask](connect(url))
    assert judge_failure(caught.value) == SinkFailure(Sink.TRACKING, SinkReason.NOT_MLFLOW)


def test_an_answer_that_trickles_on_is_not_waited_for() -> None:
    with answering(b" ", for_ever=True) as url, pytest.raises(UncertainError, match=r"it went on for 0\.3 s"):
        connect(url, answer_seconds=0.3).get_run(RUN)


def test_an_answer_without_an_end_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_client, "MOST_ANSWER_BYTES", 10_000)
    with answering(bytes(1000), for_ever=True) as url, pytest.raises(UncertainError, match="it is over 10000 bytes"):
        connect(url).get_run(RUN)


def test_pages_that_hold_nothing_are_the_last() -> None:
    with answering(b'{"next_page_token": "again"}') as url:
        assert list(connect(url).find_runs("1", "")) == []
