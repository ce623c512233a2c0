"""A spool on a disk that fills up: answers go on, what is dropped is counted, and the rest is shipped."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from classifier_inference.log.spool.counters import read_counts
from classifier_inference.log.spool.windows import COUNTERS, measure_folder
from tests.integration.prediction_log.conftest import Recording
from tests.integration.prediction_log.small_disk import fill, small_disk
from tests.integration.prediction_log.test_spooling import (
    IMAGE,
    POD,
    PREDICT,
    read_log,
    read_logged_images,
    start,
    write,
)
from tests.integration.server.process import Server
from tests.tiny_model import make_image, write_document

MEGABYTES = 4
LARGE_IMAGE = make_image("red", (700, 350), "BMP")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "spool"
    folder.mkdir()
    with small_disk(folder, MEGABYTES) as disk:
        yield disk.path


def test_a_spool_larger_than_its_disk_keeps_below_it_and_is_shipped(
    recording: Recording, disk: Path, tmp_path: Path
) -> None:
    recording.spool, recording.own = disk, disk / "pod-1"
    tracking = {"mode": "External", "uri": recording.tracking_uri}
    log = {"experiment": recording.experiment, "window": "1s"}
    document = write_document(tmp_path, tracking=tracking, predictionLog=log, limits={"formats": ["bmp"]})
    arguments = (f"--files={tmp_path}", f"--spool={disk}", "--drain-seconds=0")
    server = Server(document, *arguments, POD_NAME="pod-1", POD_NAMESPACE="team-a")
    server.wait_until_ready()
    with server.client() as client:
        answers = [client.post(PREDICT, content=LARGE_IMAGE) for _ in range(20)]
        health = client.get("/api/v1/health").json()["log"]
    assert {answer.status_code for answer in answers} == {200}
    assert health["records"] == {"logged": 20, "dropped": 0}
    assert 0 < health["images"]["dropped"] < 20
    assert measure_folder(recording.own) < 0.8 * MEGABYTES * 2**20
    server.send(signal.SIGTERM)
    assert server.end() == 0
    recording.start()
    recording.wait_until_shipped()
    assert sum(run.metrics["count"] for run in recording.runs()) == 20
    assert sum(run.metrics["images"] for run in recording.runs()) == 20 - health["images"]["dropped"]


def test_what_a_disk_that_others_fill_does_not_take_is_counted_exactly(disk: Path, tmp_path: Path) -> None:
    document = write(tmp_path)
    server = start(tmp_path, document, spool=disk)
    with server.client() as client:
        before = [client.post(PREDICT, content=IMAGE) for _ in range(5)]
        filling = fill(disk, leave=2500)
        during = [client.post(PREDICT, content=IMAGE) for _ in range(50)]
        filling.unlink()
        server.send(signal.SIGKILL)
        server.kill()
    server = start(tmp_path, document, spool=disk)
    with server.client() as client:
        after = [client.post(PREDICT, content=IMAGE) for _ in range(5)]
        server.send(signal.SIGTERM)
    assert server.end() == 0
    assert {answer.status_code for answer in [*before, *during, *after]} == {200}
    answered = {answer.json()["request_id"] for answer in [*before, *during, *after]}
    logged = {record.request_id for record in read_log(disk)}
    counts = read_counts(disk / POD / COUNTERS)
    assert 40 < len(answered - logged) <= 50
    assert (counts.records, counts.in_doubt) == (len(answered - logged), frozenset())
    assert counts.images == len(answered - read_logged_images(disk))
