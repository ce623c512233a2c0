"""Small images that mean large work: refused by what their bytes tell, in flat memory."""

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import psutil
import pytest

from tests.bombs import BOUNDED, REFUSED
from tests.integration.server.process import Server
from tests.tiny_model import make_image, write_document

PREDICT = "/api/v1/predict"
MIB = 2**20
SECONDS = 3
"""Milliseconds, on a machine that does nothing else; decoding any of them would take minutes, or gigabytes."""
REFUSED_SECONDS = 0.2
"""Of the server's own processor time, which holds on a busy machine too."""
GROWN_MIB = 48


@pytest.fixture(scope="module")
def bombed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    formats = ["jpeg", "png", "webp", "gif", "bmp", "tiff"]
    server = Server(write_document(tmp_path_factory.mktemp("bombed"), limits={"formats": formats})).wait_until_ready()
    with server.client() as client:
        for _ in range(20):
            client.post(PREDICT, content=make_image("red"))
    yield server
    server.kill()


@pytest.fixture(scope="module")
def client(bombed: Server) -> Iterator[httpx2.Client]:
    with bombed.client() as client:
        yield client


def reset_peak(server: Server) -> None:
    Path(f"/proc/{server.process.pid}/clear_refs").write_text("5")


def read_peak(server: Server) -> int:
    lines = Path(f"/proc/{server.process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def read_processor_seconds(server: Server) -> float:
    times = psutil.Process(server.process.pid).cpu_times()
    return float(times.user + times.system)


def post_and_watch(server: Server, client: httpx2.Client, content: bytes, processor_seconds: float) -> httpx2.Response:
    """Return the answer, which must have taken little of all three."""
    before, spent = psutil.Process(server.process.pid).memory_info().rss, read_processor_seconds(server)
    reset_peak(server)
    answer = client.post(PREDICT, content=content)
    assert read_processor_seconds(server) - spent < processor_seconds
    assert answer.elapsed.total_seconds() < SECONDS
    # The body itself is there twice.
    assert read_peak(server) - before < GROWN_MIB * MIB + 2 * len(content)
    assert client.post(PREDICT, content=make_image("red")).json()["predictions"][0]["label"] == "red"
    return answer


@pytest.mark.parametrize("make", REFUSED.values(), ids=REFUSED)
def test_what_would_unfold_is_refused_before_it_does(
    bombed: Server, client: httpx2.Client, make: Callable[[], bytes]
) -> None:
    answer = post_and_watch(bombed, client, make(), REFUSED_SECONDS)
    slug = answer.json()["type"].rpartition("/")[2]
    assert (answer.status_code, slug in {"too-many-pixels", "too-much-decoding"}) == (413, True), answer.text


@pytest.mark.parametrize("make", BOUNDED.values(), ids=BOUNDED)
def test_what_looks_like_more_than_it_is_takes_little(
    bombed: Server, client: httpx2.Client, make: Callable[[], bytes]
) -> None:
    assert post_and_watch(bombed, client, make(), SECONDS).status_code in {200, 400}
