"""What logging costs those who ask: the server alone on one core, with logging and without, in turns."""

import asyncio
import json
import os
import shutil
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest
from rich.console import Console

from models.sample import SHA256, ensure_built
from tests.integration.conftest import minio, mlflow, mlflow_folder
from tests.integration.prediction_log.conftest import Recording, recording
from tests.integration.server.process import Server

__all__ = ["minio", "mlflow", "mlflow_folder", "recording"]

ROUNDS = 5
SECONDS = 15.0
CLIENTS = 4
LEAST_THROUGHPUT = 0.95
MOST_P99 = 1.15
MOST_CPU_MILLISECONDS = 2
PHOTO = Path("models/photos/cat.jpg")
PREPROCESS = {
    "resize": {"shorterSide": 256},
    "crop": 224,
    "interpolation": "bicubic",
    "scale": 1,
    "mean": [127, 127, 127],
    "std": [128, 128, 128],
}


@dataclass(frozen=True)
class Round:
    """What clients saw of one server for a while."""

    per_second: float
    p99_milliseconds: float


@contextmanager
def on_core(core: int) -> Iterator[None]:
    """Have processes that are started meanwhile run on one core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    yield
    os.sched_setaffinity(0, before)


async def ask(url: str, content: bytes, seconds: float) -> Round:
    """Ask with CLIENTS connections, each as fast as it is answered."""
    took: list[float] = []
    started = time.perf_counter()

    async def go_on() -> None:
        async with httpx2.AsyncClient(base_url=url, timeout=30) as client:
            while time.perf_counter() < started + seconds:
                asked = time.perf_counter()
                response = await client.post("/api/v1/predict", content=content)
                took.append(time.perf_counter() - asked)
                assert response.status_code == 200

    await asyncio.gather(*(go_on() for _ in range(CLIENTS)))
    ended = time.perf_counter()
    return Round(len(took) / (ended - started), statistics.quantiles(took, n=100)[98] * 1000)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """The folder that `classifier fetch` would fill."""
    built = ensure_built(Console(quiet=True))
    folder = tmp_path / "files"
    folder.mkdir()
    shutil.copyfile(built / "model/model.onnx", folder / "model.onnx")
    shutil.copyfile(built / "model/labels.txt", folder / "labels")
    return folder


def write_document(path: Path, **logging: Any) -> Path:
    spec = {
        "model": {"uri": "file:model.onnx", "sha256": SHA256, "labels": {"uri": "file:labels"}},
        "preprocess": PREPROCESS,
        **logging,
    }
    document = {
        "apiVersion": "imageclassifier.dev/v1alpha1",
        "kind": "ImageClassifier",
        "metadata": {"name": "colours"},
        "spec": spec,
    }
    path.write_text(json.dumps(document))
    return path


def test_logging_takes_little_from_those_who_ask(recording: Recording, files: Path, tmp_path: Path) -> None:
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        pytest.fail("this needs two cores: one for the server alone")
    tracking = {"mode": "External", "uri": recording.tracking_uri}
    log = {"experiment": recording.experiment, "window": "5s"}
    with on_core(cores[-1]):
        recorder = recording.start(window="5s")
        recorder.wait_for('"event": "recording"')
    with on_core(cores[0]):
        off = Server(write_document(tmp_path / "off.json"), f"--files={files}", CLASSIFIER_LOG_LEVEL="warning")
        on = Server(
            write_document(tmp_path / "on.json", tracking=tracking, predictionLog=log),
            f"--files={files}",
            f"--spool={recording.spool}",
            POD_NAME="pod-1",
            POD_NAMESPACE="team-a",
            CLASSIFIER_LOG_LEVEL="warning",
        )
    content = PHOTO.read_bytes()
    process = psutil.Process(recorder.process.pid)
    rounds: dict[str, list[Round]] = {"off": [], "on": []}
    with on_core(cores[-1]):
        for server in (off, on):
            wait_until_ready(server)
            asyncio.run(ask(server.url, content, 3))
        before = sum(process.cpu_times()[:2])
        for _ in range(ROUNDS):
            for name, server in (("off", off), ("on", on)):
                rounds[name].append(asyncio.run(ask(server.url, content, SECONDS)))
        spent = sum(process.cpu_times()[:2]) - before
    on.process.terminate()
    assert on.end() == 0
    off.kill()
    predictions = sum(one.per_second * SECONDS for one in rounds["on"])
    throughput = ratio([one.per_second for one in rounds["on"]], [one.per_second for one in rounds["off"]])
    p99 = ratio([one.p99_milliseconds for one in rounds["on"]], [one.p99_milliseconds for one in rounds["off"]])
    cpu = spent * 1000 / predictions
    for name, found in rounds.items():
        print(
            f"\nlogging {name}: "
            + ", ".join(f"{one.per_second:.1f}/s p99 {one.p99_milliseconds:.0f} ms" for one in found)
        )
    print(
        f"on over off, medians: throughput {throughput:.3f}, p99 {p99:.3f}; recorder {cpu:.2f} ms of CPU a prediction"
    )
    assert throughput >= LEAST_THROUGHPUT
    assert p99 <= MOST_P99
    assert cpu <= MOST_CPU_MILLISECONDS


def ratio(over: list[float], under: list[float]) -> float:
    return statistics.median(over) / statistics.median(under)


def wait_until_ready(server: Server) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if httpx2.get(f"{server.url}/readyz").is_success:
                return
        except httpx2.TransportError:
            pass
        time.sleep(0.2)
    raise AssertionError("the server is not ready")
