"""A store that is nearly full says so before it is."""

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from classifier_inference.log.sinks.fullness import METRICS, judge_fullness, read_used_share
from classifier_inference.stores.authorities import make_context
from tests.integration.server.https_server import send, serve_https

TEXT = """# TYPE minio_cluster_capacity_usable_free_bytes gauge
minio_cluster_capacity_usable_free_bytes{server="127.0.0.1:9000"} 5e+09
minio_cluster_capacity_usable_total_bytes{server="127.0.0.1:9000"} 1e+11
"""


class _Store(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        content = {METRICS: TEXT, f"/other{METRICS}": "nothing"}.get(self.path)
        self.send_response(200 if content else 403)
        self.end_headers()
        self.wfile.write((content or "").encode())

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def store() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), _Store)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_minio_says_how_full_it_is(store: str) -> None:
    assert read_used_share(store) == pytest.approx(0.95)


def test_a_minio_behind_an_authority_of_its_own_is_asked_by_the_given_file(tmp_path: Path) -> None:
    with serve_https(tmp_path) as server:
        server.answers = {METRICS: send(TEXT.encode())}
        assert read_used_share(server.url, make_context(server.ca_file)) == pytest.approx(0.95)
        assert read_used_share(server.url) is None


@pytest.mark.parametrize("path", ["/other", "/closed"])
def test_a_store_that_says_nothing_of_it_is_not_judged(store: str, path: str) -> None:
    assert read_used_share(f"{store}{path}") is None


def test_a_store_that_is_away_is_not_judged() -> None:
    assert read_used_share("http://127.0.0.1:9") is None


@pytest.mark.parametrize(("used", "said"), [(None, None), (0.5, None), (0.95, "95% full")])
def test_what_is_nearly_full_is_told_while_it_still_works(used: float | None, said: str | None) -> None:
    state = judge_fullness(used)
    assert (state is None) == (said is None)
    if state is not None and said is not None:
        assert state.ready
        assert state.reason == "NearlyFull"
        assert said in state.message
