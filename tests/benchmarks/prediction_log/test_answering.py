"""What logging costs those who ask, with the stores up, away, and the recorder killed: the server alone on one core."""

import asyncio
import io
import json
import os
import shutil
import statistics
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pandas as pd
import psutil
import pytest
from rich.console import Console

from models.sample import SHA256, ensure_built
from tests.integration.conftest import minio, mlflow, mlflow_folder, run_folder
from tests.integration.prediction_log.conftest import Recording, recording
from tests.integration.prediction_log.stores import wait_until
from tests.integration.server.process import Server

__all__ = ["minio", "mlflow", "mlflow_folder", "recording", "run_folder"]

ROUNDS = 5
SECONDS = 20.0
CLIENTS = 4
LEAST_THROUGHPUT = 0.95
MOST_P99 = 1.15
MOST_P99_AWAY = 1.10
MOST_CPU_MILLISECONDS = 2
KILL_SECONDS = 10
CATCH_UP_SECONDS = 180
"""A recorder that was killed often is begun again after half a minute."""
WINDOW = "5s"
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
    ids: list[str] = field(repr=False)


@pytest.fixture(scope="session", autouse=True)
def own_core() -> Iterator[int]:
    """A core that nothing of ours runs on; what asks, ships and stores is on another."""
    before = os.sched_getaffinity(0)
    if len(before) < 2:
        pytest.fail("this needs two cores: one for the server alone")
    own, other = min(before), max(before)
    os.sched_setaffinity(0, {other})
    yield own
    os.sched_setaffinity(0, before)


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
    ids: list[str] = []
    started = time.perf_counter()

    async def go_on() -> None:
        async with httpx2.AsyncClient(base_url=url, timeout=30) as client:
            while time.perf_counter() < started + seconds:
                asked = time.perf_counter()
                response = await client.post("/api/v1/predict", content=content)
                took.append(time.perf_counter() - asked)
                assert response.status_code == 200
                ids.append(response.json()["request_id"])

    await asyncio.gather(*(go_on() for _ in range(CLIENTS)))
    ended = time.perf_counter()
    return Round(len(took) / (ended - started), statistics.quantiles(took, n=100)[98] * 1000, ids)


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


def start_off(folder: Path, files: Path) -> Server:
    return Server(write_document(folder / "off.json"), f"--files={files}", CLASSIFIER_LOG_LEVEL="warning")


def start_on(folder: Path, files: Path, recording: Recording) -> Server:
    tracking = {"mode": "External", "uri": recording.tracking_uri}
    log = {"experiment": recording.experiment, "window": WINDOW}
    return Server(
        write_document(folder / "on.json", tracking=tracking, predictionLog=log),
        f"--files={files}",
        f"--spool={recording.spool}",
        POD_NAME="pod-1",
        POD_NAMESPACE="team-a",
        CLASSIFIER_LOG_LEVEL="warning",
    )


def warm_up(server: Server, content: bytes) -> list[str]:
    """Return the ids that were answered."""
    wait_until(lambda: is_ready(server), "the server to be ready", 60)
    return asyncio.run(ask(server.url, content, 3)).ids


def is_ready(server: Server) -> bool:
    try:
        return httpx2.get(f"{server.url}/readyz").is_success
    except httpx2.TransportError:
        return False


def test_logging_takes_little_from_those_who_ask(
    recording: Recording, files: Path, tmp_path: Path, own_core: int
) -> None:
    recorder = recording.start(window=WINDOW)
    recorder.wait_for('"event": "recording"')
    with on_core(own_core):
        off, on = start_off(tmp_path, files), start_on(tmp_path, files, recording)
    content = PHOTO.read_bytes()
    process = psutil.Process(recorder.process.pid)
    rounds: dict[str, list[Round]] = {"off": [], "on": []}
    for server in (off, on):
        warm_up(server, content)
    before = sum(process.cpu_times()[:2])
    for _ in range(ROUNDS):
        for name, server in (("off", off), ("on", on)):
            rounds[name].append(asyncio.run(ask(server.url, content, SECONDS)))
    spent = sum(process.cpu_times()[:2]) - before
    on.process.terminate()
    assert on.end() == 0
    off.kill()
    throughput, p99 = compare(rounds, "on", "off")
    cpu = spent * 1000 / sum(one.per_second * SECONDS for one in rounds["on"])
    print(f"the recorder took {cpu:.2f} ms of CPU a prediction")
    assert throughput >= LEAST_THROUGHPUT
    assert p99 <= MOST_P99
    assert cpu <= MOST_CPU_MILLISECONDS


def test_answers_are_as_fast_while_both_stores_are_away(
    recording: Recording, files: Path, tmp_path: Path, own_core: int
) -> None:
    recording.start(window=WINDOW).wait_for('"event": "recording"')
    with on_core(own_core):
        server = start_on(tmp_path, files, recording)
    content = PHOTO.read_bytes()
    rounds: dict[str, list[Round]] = {"up": [], "away": []}
    warm = warm_up(server, content)
    gates = recording.to_mlflow, recording.to_minio
    for _ in range(ROUNDS):
        rounds["up"].append(asyncio.run(ask(server.url, content, SECONDS)))
        for gate in gates:
            gate.shut()
        rounds["away"].append(asyncio.run(ask(server.url, content, SECONDS)))
        for gate in gates:
            gate.open()
        recording.wait_until_shipped()
    server.process.terminate()
    assert server.end() == 0
    recording.wait_until_shipped(CATCH_UP_SECONDS)
    _, p99 = compare(rounds, "away", "up")
    assert_logged_once(recording, warm, rounds)
    assert p99 <= MOST_P99_AWAY


def test_answers_are_as_fast_while_the_recorder_is_killed_again_and_again(
    recording: Recording, files: Path, tmp_path: Path, own_core: int
) -> None:
    recorder = recording.start(window=WINDOW, keep=True)
    recorder.wait_for('"event": "recording"')
    with on_core(own_core):
        server = start_on(tmp_path, files, recording)
    content = PHOTO.read_bytes()
    rounds: dict[str, list[Round]] = {"left alone": [], "killed": []}
    warm = warm_up(server, content)
    kills = 0
    for _ in range(ROUNDS):
        rounds["left alone"].append(asyncio.run(ask(server.url, content, SECONDS)))
        with killed_now_and_then(recorder.process.pid) as killed:
            rounds["killed"].append(asyncio.run(ask(server.url, content, SECONDS)))
        kills += len(killed)
    server.process.terminate()
    assert server.end() == 0
    recording.wait_until_shipped(CATCH_UP_SECONDS)
    _, p99 = compare(rounds, "killed", "left alone")
    print(f"the recorder was killed {kills} times")
    assert_logged_once(recording, warm, rounds)
    assert kills >= ROUNDS
    assert p99 <= MOST_P99_AWAY


@contextmanager
def killed_now_and_then(keeper: int) -> Iterator[list[int]]:
    """Kill what a recorder's first process runs, at once and every KILL_SECONDS; yield what was killed."""
    killed: list[int] = []
    ended = threading.Event()

    def kill_on() -> None:
        while True:
            for worker in psutil.Process(keeper).children():
                worker.kill()
                killed.append(worker.pid)
            if ended.wait(KILL_SECONDS):
                return

    thread = threading.Thread(target=kill_on)
    thread.start()
    try:
        yield killed
    finally:
        ended.set()
        thread.join()


def assert_logged_once(recording: Recording, warm: list[str], rounds: dict[str, list[Round]]) -> None:
    """See that each answered id is in one row of one run's Parquet file, and print how many there are."""
    answered = [*warm, *(each for found in rounds.values() for one in found for each in one.ids)]
    tables = [
        pd.read_parquet(io.BytesIO(recording.read(f"{run.artifact_uri}/predictions.parquet")), columns=["request_id"])
        for run in recording.runs()
    ]
    logged = Counter(pd.concat(tables).request_id)
    print(f"{len(answered)} answered, {len(logged)} logged, {max(logged.values())} time each at most")
    assert logged == Counter(answered)


def compare(rounds: dict[str, list[Round]], over: str, under: str) -> tuple[float, float]:
    """Print the rounds; return the medians of the ratios of a round to the one before it: of throughput, and of p99."""
    for name, found in rounds.items():
        print(f"\n{name}: " + ", ".join(f"{one.per_second:.1f}/s p99 {one.p99_milliseconds:.0f} ms" for one in found))
    throughput, p99 = (
        statistics.median(
            getattr(one, what) / getattr(other, what) for one, other in zip(rounds[over], rounds[under], strict=True)
        )
        for what in ("per_second", "p99_milliseconds")
    )
    print(f"{over} over {under}, medians of {ROUNDS} pairs: throughput {throughput:.3f}, p99 {p99:.3f}")
    return throughput, p99
