"""A real MinIO whose disk fills up: told before it is full, and nothing is lost when it is."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from classifier_inference.report.sink_state import SinkReason
from tests.integration.prediction_log.conftest import Recording
from tests.integration.prediction_log.small_disk import SmallDisk, small_disk
from tests.integration.prediction_log.stores import BUCKET, Store, find_minio, start_minio
from tests.integration.prediction_log.windows import write_window

START = 1_790_000_000_000
MEGABYTES, ENOUGH_MEGABYTES = 64, 128
PIECE = bytes(2**20)
NEARLY_FULL = range(60)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    if find_minio() is None:
        pytest.skip("there is no minio here that could be given a small disk")
    folder = tmp_path / "minio"
    folder.mkdir()
    with small_disk(folder, MEGABYTES) as disk:
        yield disk


@pytest.fixture
def small(disk: SmallDisk) -> Iterator[Store]:
    store = start_minio(disk.path)
    yield store
    store.stop()


@pytest.fixture
def filling(tmp_path: Path, mlflow: Store, small: Store, mlflow_folder: Path) -> Iterator[Recording]:
    recording = Recording(tmp_path, mlflow, small, mlflow_folder)
    recording.use_s3()
    yield recording
    recording.end()


def test_a_store_says_that_it_is_nearly_full_then_that_it_is_and_takes_all_once_there_is_room(
    filling: Recording, disk: SmallDisk
) -> None:
    for number in NEARLY_FULL:
        filling.s3.put_object(Bucket=BUCKET, Key=f"piece-{number}", Body=PIECE)
    write_window(filling.own, START)
    filling.start()
    filling.wait_until_shipped()
    state = filling.wait_for_state(lambda state: state.storage and state.storage.reason is SinkReason.NEARLY_FULL)
    assert state.storage is not None
    assert state.storage.ready
    assert "takes what is logged, and is 9" in state.storage.message
    write_window(filling.own, START + 60_000, image=bytes(3 * 2**20))
    state = filling.wait_for_state(lambda state: state.storage and state.storage.ready is False)
    assert state.storage is not None
    assert state.storage.reason is SinkReason.NEARLY_FULL
    assert "XMinioStorageFull" in state.storage.message
    assert filling.backlog == 1
    disk.grow(ENOUGH_MEGABYTES)  # what is deleted may take its room for minutes
    filling.wait_until_shipped()
    assert [run.status for run in filling.runs()] == ["FINISHED", "FINISHED"]
