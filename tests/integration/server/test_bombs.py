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
LARGEST = make_image("red", (7000, 7000))
"""An honest image of as many pixels as an image may have."""
REFUSED_SHARE, BOUNDED_SHARE = 0.5, 6
"""Of the server's processor time for that; decoding any of the others would take minutes, or gigabytes."""
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


@pytest.fixture(scope="module")
def honest_seconds(bombed: Server, client: httpx2.Client) -> float:
    """The processor time that the largest honest image takes."""
    before = read_processor_seconds(bombed)
    assert client.post(PREDICT, content=LARGEST).status_code == 200
    return read_processor_seconds(bombed) - before


def reset_peak(server: Server) -> None:
    Path(f"/proc/{server.process.pid}/clear_refs").write_text("5")


def read_peak(server: Server) -> int:
    lines = Path(f"/proc/{server.process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def read_processor_seconds(server: Server) -> float:
    times = psutil.Process(server.process.pid).cpu_times()
    return float(times.user + times.system)


def post_and_watch(server: Server, client: httpx2.Client, content: bytes, processor_seconds: float) -> httpx2.Response:
    """Return the answer, which must have taken little of both."""
    before, spent = psutil.Process(server.process.pid).memory_info().rss, read_processor_seconds(server)
    reset_peak(server)
    answer = client.post(PREDICT, content=content)
    assert read_processor_seconds(server) - spent < processor_seconds
    # The body itself is there twice.
    assert read_peak(server) - before < GROWN_MIB * MIB + 2 * len(content)
    assert client.post(PREDICT, content=make_image("red")).json()["predictions"][0]["label"] == "red"
    return answer


@pytest.mark.parametrize("make", REFUSED.values(), ids=REFUSED)
def test_what_would_unfold_is_refused_before_it_does(
    bombed: Server, client: httpx2.Client, honest_seconds: float, make: Callable[[], bytes]
) -> None:
    answer = post_and_watch(bombed, client, make(), REFUSED_SHARE * honest_seconds)
    slug = answer.json()["type"].rpartition("/")[2]
    assert (answer.status_code, slug in {"too-many-pixels", "too-much-decoding"}) == (413, True), answer.text


@pytest.mark.parametrize("make", BOUNDED.values(), ids=BOUNDED)
def test_what_looks_like_more_than_it_is_takes_little(
    bombed: Server, client: httpx2.Client, honest_seconds: float, make: Callable[[], bytes]
) -> None:
    assert post_and_watch(bombed, client, make(), BOUNDED_SHARE * honest_seconds).status_code in {200, 400}
