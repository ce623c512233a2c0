"""The recorder beside 200 predictions a second with images of 100 kB: backlog, memory, CPU.

pytest -s tests/benchmarks/prediction_log
"""

import io
import os
import time
from pathlib import Path
from uuid import UUID

import pandas as pd
import psutil
import pytest

from classifier_inference.log.record import render_record
from classifier_inference.log.spool.spool import Spool
from classifier_inference.log.spool.ticket import SpooledImage
from classifier_inference.log.spool.windows import list_sealed
from tests.integration.conftest import minio, mlflow, mlflow_folder, run_folder
from tests.integration.prediction_log.conftest import Recording, recording
from tests.integration.prediction_log.windows import make_record

__all__ = ["minio", "mlflow", "mlflow_folder", "recording", "run_folder"]

PER_SECOND = 200
SECONDS = 60
IMAGE_BYTES = 100_000
MOST_MEGABYTES = 150
MOST_CPU_MILLISECONDS = 2
CATCH_UP_SECONDS = 10


@pytest.fixture(autouse=True)
def _every_core() -> None:
    """Use them all, also after the tests that keep this process to one."""
    os.sched_setaffinity(0, range(os.cpu_count() or 1))


class Watch:
    """Looks at a process now and then."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self._before = self._cpu_seconds()
        self.megabytes: list[float] = []
        self.backlog: list[int] = []

    def look(self, folder: Path) -> None:
        self.megabytes.append(self._process.memory_info().rss / 1e6)
        self.backlog.append(len(list_sealed(folder)))

    def _cpu_seconds(self) -> float:
        times = self._process.cpu_times()
        return times.user + times.system

    @property
    def cpu_seconds(self) -> float:
        return self._cpu_seconds() - self._before


def write_load(spool: Spool, watch: Watch, image: SpooledImage) -> set[str]:
    """Log for SECONDS, at an even pace; return the request ids."""
    requests: set[str] = set()
    started = time.perf_counter()
    for number in range(PER_SECOND * SECONDS):
        time.sleep(max(0, started + number / PER_SECOND - time.perf_counter()))
        record = make_record(time.time_ns() // 1_000_000, labels=[f"label {(number + at) % 100}" for at in range(5)])
        assert spool.reserve_image(len(image.content))
        spool.submit(UUID(record.request_id), render_record(record), image)
        requests.add(record.request_id)
        if number % PER_SECOND == 0:
            watch.look(spool.folder)
    return requests


def test_the_recorder_keeps_up_with_200_predictions_a_second(recording: Recording) -> None:
    recorder = recording.start()
    recorder.wait_for('"event": "recording"')
    time.sleep(3)
    watch = Watch(recorder.process.pid)
    spool = Spool(recording.own, 2**30, 60)
    requests = write_load(spool, watch, SpooledImage(os.urandom(IMAGE_BYTES), "jpeg"))
    assert spool.close(10)
    ended = time.perf_counter()
    recording.wait_until_shipped(CATCH_UP_SECONDS)
    caught_up = time.perf_counter() - ended
    watch.look(spool.folder)
    cpu = watch.cpu_seconds * 1000 / len(requests)
    middle = len(watch.megabytes) // 2
    print(
        f"\n{len(requests)} predictions of {IMAGE_BYTES / 1000:g} kB in {SECONDS} s: nothing left {caught_up:.1f} s "
        f"after the end, at most {max(watch.backlog)} windows waiting; {cpu:.2f} ms of CPU a prediction; "
        f"memory at most {max(watch.megabytes):.0f} MB (first half {max(watch.megabytes[:middle]):.0f}, second "
        f"{max(watch.megabytes[middle:]):.0f})"
    )
    tables = [
        pd.read_parquet(io.BytesIO(recording.read(f"{run.artifact_uri}/predictions.parquet")))
        for run in recording.runs()
    ]
    logged = pd.concat(tables)
    assert len(logged) == len(requests)
    assert set(logged.request_id) == requests
    assert logged.image_size.eq(IMAGE_BYTES).all()
    assert (spool.counts.records, spool.counts.images) == (0, 0)
    assert max(watch.megabytes) < MOST_MEGABYTES
    assert cpu <= MOST_CPU_MILLISECONDS
