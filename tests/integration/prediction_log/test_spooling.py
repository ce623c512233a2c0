"""A real server's spool: what was answered is in it, whatever happens to the server."""

import asyncio
import contextlib
import json
import os
import signal
import time
import uuid
from pathlib import Path
from typing import Any

import httpx2
import pytest

from classifier_inference.log.record import Record
from classifier_inference.log.spool.counters import read_counts
from classifier_inference.log.spool.windows import COUNTERS, list_open, list_sealed, read_images, read_records
from tests.integration.server.process import WAIT_SECONDS, Server, free_port
from tests.tiny_model import make_image, write_document

PREDICT = "/api/v1/predict"
POD = "colours-1"
IMAGE = make_image("red")
KILLS = 3
ANSWERS_A_LIFE = 20
CLIENTS = 4


def start(folder: Path, document: Path, spool: Path | None = None, **variables: str) -> Server:
    environment = {"POD_NAME": POD, "POD_NAMESPACE": "photos", "CLASSIFIER_LOG_LEVEL": "info", **variables}
    arguments = (f"--files={folder}", f"--spool={spool or folder / 'spool'}", "--drain-seconds=0")
    return Server(document, *arguments, **environment).wait_until_ready()


def write(folder: Path, **log: Any) -> Path:
    tracking = {"mode": "External", "uri": f"http://127.0.0.1:{free_port()}"}
    return write_document(folder, tracking=tracking, predictionLog=log)


def read_log(spool: Path) -> list[Record]:
    pod = spool / POD
    paths = [window.records for window in list_sealed(pod)] + list_open(pod)
    return [record for path in paths for record in read_records(path)]


def read_logged_images(spool: Path) -> set[str]:
    return {name for path in (spool / POD).glob("*.tar") for name in read_images(path)}


async def ask_until(url: str, answered: set[str], enough: asyncio.Event) -> None:
    """Post images until the server is gone."""
    async with httpx2.AsyncClient(base_url=url, timeout=WAIT_SECONDS) as client:
        with contextlib.suppress(httpx2.TransportError):
            while True:
                response = await client.post(PREDICT, content=IMAGE)
                assert response.status_code == 200
                answered.add(response.json()["request_id"])
                if len(answered) >= ANSWERS_A_LIFE:
                    enough.set()


async def kill_under_load(server: Server) -> set[str]:
    """Return the ids that were answered before the server was killed."""
    answered: set[str] = set()
    enough = asyncio.Event()
    clients = [asyncio.create_task(ask_until(server.url, answered, enough)) for _ in range(CLIENTS)]
    await asyncio.wait_for(enough.wait(), WAIT_SECONDS)
    server.send(signal.SIGKILL)
    await asyncio.gather(*clients)
    return answered


async def expect_nothing_lost(folder: Path, kills: int) -> None:
    """Kill a server under load so many times: all that it answered must be logged, or counted as lost."""
    document = write(folder)
    answered: set[str] = set()
    for _ in range(kills):
        server = start(folder, document)
        answered |= await kill_under_load(server)
        server.kill()
    server = start(folder, document)
    server.send(signal.SIGTERM)
    server.end()
    logged = [record.request_id for record in read_log(folder / "spool")]
    counts = read_counts(folder / "spool" / POD / COUNTERS)
    assert len(logged) == len(set(logged))
    assert len(answered) >= kills * ANSWERS_A_LIFE
    assert (len(answered - set(logged)), len(counts.in_doubt)) == (counts.records, 0)
    announced = {record.request_id for record in read_log(folder / "spool") if record.image.logged}
    assert len(announced - read_logged_images(folder / "spool")) == counts.images


async def test_a_server_that_is_killed_under_load_has_logged_or_counted_all_it_answered(tmp_path: Path) -> None:
    await expect_nothing_lost(tmp_path, KILLS)


STUCK_DISK = """
import os, pathlib, time

write = os.write

def wait_and_write(file, content):
    while pathlib.Path({stuck!r}).exists() and os.readlink(f"/proc/self/fd/{{file}}").endswith(".jsonl"):
        time.sleep(0.01)
    return write(file, content)

os.write = wait_and_write
"""


def test_a_server_that_is_killed_while_its_disk_is_stuck_has_answered_at_once_and_counted_exactly(
    tmp_path: Path,
) -> None:
    document, stuck, patch = write(tmp_path), tmp_path / "stuck", tmp_path / "patch"
    patch.mkdir()
    (patch / "sitecustomize.py").write_text(STUCK_DISK.format(stuck=str(stuck)))
    server = start(tmp_path, document, PYTHONPATH=os.pathsep.join([str(patch), os.environ.get("PYTHONPATH", "")]))
    try:
        with server.client() as client:
            before = [client.post(PREDICT, content=IMAGE).json()["request_id"] for _ in range(5)]
            stuck.touch()
            started = time.monotonic()
            during = [client.post(PREDICT, content=IMAGE).json()["request_id"] for _ in range(30)]
            took = time.monotonic() - started
            server.send(signal.SIGKILL)
    finally:
        server.kill()
    stuck.unlink()
    doubted = read_counts(tmp_path / "spool" / POD / COUNTERS)
    again = start(tmp_path, document)
    again.send(signal.SIGTERM)
    again.end()
    assert took < WAIT_SECONDS
    assert doubted.in_doubt == {uuid.UUID(request_id) for request_id in during}
    assert [record.request_id for record in read_log(tmp_path / "spool")] == before
    counts = read_counts(tmp_path / "spool" / POD / COUNTERS)
    assert (counts.records, counts.in_doubt) == (len(during), frozenset())


def test_a_prediction_is_on_disk_when_its_answer_arrives(tmp_path: Path) -> None:
    server = start(tmp_path, write(tmp_path))
    try:
        with server.client() as client:
            files = {"file": ("röd katt.png", IMAGE, "image/png")}
            answer = client.post(PREDICT, files=files).json()
            (record,) = read_log(tmp_path / "spool")
            server.send(signal.SIGTERM)
    finally:
        status = server.end()
    assert status == 0
    assert record.request_id == answer["request_id"]
    assert [found.label for found in record.predictions] == ["red", "green", "blue"]
    assert (record.classifier, record.namespace, record.pod, record.device) == ("colours", "photos", POD, "cpu")
    assert (record.model.version, record.model.sha256) == (answer["model"]["version"], answer["model"]["sha256"])
    image = record.image
    assert (image.name, image.format, image.width, image.height, image.bytes, image.logged) == (
        "röd katt.png", "png", 16, 16, len(IMAGE), True,
    )  # fmt: skip
    assert record.milliseconds.infer == answer["milliseconds"]["infer"]
    (window,) = list_sealed(tmp_path / "spool" / POD)
    assert list(read_images(window.images)) == [record.request_id]


def test_a_full_spool_is_told_exactly_and_answers_go_on(tmp_path: Path) -> None:
    image = make_image("red", (700, 700), "BMP")
    server = start(tmp_path, write_limits(tmp_path))
    try:
        with server.client() as client:
            answers = [client.post(PREDICT, content=image) for _ in range(3)]
            answers += [client.post(PREDICT, content=IMAGE) for _ in range(1200)]
            health = client.get("/api/v1/health").json()["log"]
            metrics = client.get("/metrics").text
            server.send(signal.SIGKILL)
    finally:
        server.kill()
    assert {answer.status_code for answer in answers} == {200}
    answered = {answer.json()["request_id"] for answer in answers}
    logged = {record.request_id for record in read_log(tmp_path / "spool")}
    dropped = len(answered - logged)
    dropped_images = len(answered - read_logged_images(tmp_path / "spool"))
    assert 0 < dropped < dropped_images
    assert health["records"] == {"logged": len(logged), "dropped": dropped}
    assert health["images"]["dropped"] == dropped_images
    assert f'classifier_log_records_total{{outcome="dropped"}} {float(dropped)}' in metrics
    assert f'classifier_log_images_total{{outcome="dropped"}} {float(dropped_images)}' in metrics


def write_limits(folder: Path) -> Path:
    document = write(folder, spool="1Mi")
    content = json.loads(document.read_text())
    content["spec"]["limits"] = {"formats": ["png", "bmp"]}
    document.write_text(json.dumps(content))
    return document


def test_what_the_sample_leaves_out_is_neither_logged_nor_counted(tmp_path: Path) -> None:
    server = start(tmp_path, write(tmp_path, sample=0.5, images=False))
    try:
        with server.client() as client:
            answered = [client.post(PREDICT, content=IMAGE).json()["request_id"] for _ in range(100)]
            health = client.get("/api/v1/health").json()["log"]
            server.send(signal.SIGTERM)
    finally:
        server.end()
    logged = {record.request_id for record in read_log(tmp_path / "spool")}
    assert 20 < len(logged) < 80
    assert logged < set(answered)
    assert (health["records"]["dropped"], health["images"]["dropped"]) == (0, 0)
    assert read_logged_images(tmp_path / "spool") == set()


def test_a_spool_that_can_not_be_written_is_told_by_its_reason(tmp_path: Path) -> None:
    (tmp_path / "spool").write_text("not a folder")
    log = tmp_path / "termination-log"
    log.touch()
    server = Server(
        write(tmp_path), f"--files={tmp_path}", f"--spool={tmp_path / 'spool'}", CLASSIFIER_TERMINATION_LOG=str(log)
    )
    assert server.end() == 1
    assert json.loads(log.read_text())["reason"] == "SpoolUnusable"


def test_without_tracking_there_is_no_log(tmp_path: Path) -> None:
    server = start(tmp_path, write_document(tmp_path))
    try:
        with server.client() as client:
            assert client.get("/api/v1/health").json()["log"] is None
            assert "classifier_log" not in client.get("/metrics").text
            assert uuid.UUID(client.post(PREDICT, content=IMAGE).json()["request_id"]).version == 7
    finally:
        server.kill()
    assert not (tmp_path / "spool").exists()


@pytest.mark.parametrize("name", ["x" * 300, "猫/../猫.png", "a\tb.png"])
def test_an_image_may_be_called_anything(tmp_path: Path, name: str) -> None:
    server = start(tmp_path, write(tmp_path))
    try:
        with server.client() as client:
            assert client.post(PREDICT, files={"file": (name, IMAGE, "image/png")}).status_code == 200
            server.send(signal.SIGTERM)
    finally:
        server.end()
    (record,) = read_log(tmp_path / "spool")
    assert record.image.name
