"""The server's side of the spool, on good disks, slow ones and full ones."""

import errno
import os
import tarfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from classifier_inference.log.spool.counters import read_counts
from classifier_inference.log.spool.segment import Write
from classifier_inference.log.spool.spool import MOST_WAITING, Spool, SpoolTakenError
from classifier_inference.log.spool.ticket import SpooledImage, Ticket
from classifier_inference.log.spool.windows import (
    COUNTERS,
    adopt,
    delete_window,
    hold,
    list_folders,
    list_open,
    list_sealed,
    read_images,
    recover,
)
from tests.unit.inference.prediction_log.records import make_line, new_id, read_sealed, read_sealed_images

ROOMY = 64 * 2**20
CLOSE_SECONDS = 60


def open_spool(folder: Path, size: int = ROOMY, window: float = 60, write: Write = os.write) -> Spool:
    return Spool(folder / "pod-1", size, window, write)


def log(spool: Spool, image: bytes | None = None) -> Ticket:
    request_id = new_id()
    kept = image is not None and spool.reserve_image(len(image))
    spooled = SpooledImage(image, "png") if kept and image is not None else None
    return spool.submit(request_id, make_line(request_id, image=kept), spooled)


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + CLOSE_SECONDS
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.005)


class Disk:
    """os.write, that can be held up and made to fail."""

    def __init__(self) -> None:
        self.free = threading.Event()
        self.free.set()
        self.reached = threading.Event()
        self.room: int | None = None

    def write(self, file: int, content: bytes) -> int:
        self.reached.set()
        assert self.free.wait(CLOSE_SECONDS)
        if self.room is None:
            return os.write(file, content)
        if self.room == 0:
            raise OSError(errno.ENOSPC, "no space left")
        done = os.write(file, content[: self.room])
        self.room -= done
        return done


async def test_a_record_is_in_the_file_before_the_answer_leaves(tmp_path: Path) -> None:
    spool = open_spool(tmp_path)
    ticket = log(spool)
    await spool.confirm(ticket)
    (path,) = list_open(spool.folder)
    assert ticket.taken
    assert path.read_bytes() == ticket.line
    assert spool.close(CLOSE_SECONDS)
    assert read_sealed(spool.folder) == [ticket.request_id]


def test_images_are_in_a_tar_beside_their_records(tmp_path: Path) -> None:
    spool = open_spool(tmp_path)
    images = {log(spool, content).request_id: content for content in (b"a", b"b" * 512, b"c" * 1000, b"")}
    assert spool.close(CLOSE_SECONDS)
    (window,) = list_sealed(spool.folder)
    refs = read_images(window.images)
    content = window.images.read_bytes()
    for request_id, image in images.items():
        ref = refs[str(request_id)]
        assert content[ref.offset : ref.offset + ref.size] == image
    with tarfile.open(window.images) as tar:
        assert tar.getnames() == [f"{request_id}.png" for request_id in images]
    assert (spool.logged_records, spool.logged_images) == (4, 4)
    delete_window(window)
    assert list_sealed(spool.folder) == []
    assert not window.images.exists()


def test_a_window_is_sealed_when_its_time_is_over_without_another_record(tmp_path: Path) -> None:
    spool = open_spool(tmp_path, window=0.05)
    first = log(spool, b"image")
    until(lambda: len(list_sealed(spool.folder)) == 1)
    second = log(spool)
    assert spool.close(CLOSE_SECONDS)
    assert read_sealed(spool.folder) == [first.request_id, second.request_id]
    assert len(list_sealed(spool.folder)) == 2


async def test_an_answer_does_not_wait_for_a_slow_disk_and_its_record_is_logged_all_the_same(tmp_path: Path) -> None:
    disk = Disk()
    disk.free.clear()
    spool = open_spool(tmp_path, write=disk.write)
    tickets = []
    for _ in range(3):
        tickets.append(log(spool))
        await spool.confirm(tickets[-1])
        assert not tickets[-1].done
    assert read_counts(spool.folder / COUNTERS).in_doubt == {ticket.request_id for ticket in tickets}
    disk.free.set()
    assert spool.close(CLOSE_SECONDS)
    assert read_sealed(spool.folder) == [ticket.request_id for ticket in tickets]
    found = read_counts(spool.folder / COUNTERS)
    assert (found.records, found.in_doubt) == (0, frozenset())


async def test_what_would_wait_behind_too_much_is_dropped_at_once_and_counted(tmp_path: Path) -> None:
    disk = Disk()
    disk.free.clear()
    spool = open_spool(tmp_path, write=disk.write)
    tickets = [log(spool, b"image")]
    assert disk.reached.wait(CLOSE_SECONDS)
    tickets += [log(spool) for _ in range(MOST_WAITING + 10)]
    await spool.confirm(tickets[-1])
    assert (tickets[-1].done, tickets[-1].taken, spool.counts.records) == (True, False, 10)
    disk.free.set()
    assert spool.close(CLOSE_SECONDS)
    assert len(read_sealed(spool.folder)) == MOST_WAITING + 1
    assert read_counts(spool.folder / COUNTERS).records == 10


async def test_records_in_doubt_are_settled_by_the_log_when_the_server_was_killed(tmp_path: Path) -> None:
    disk = Disk()
    spool = open_spool(tmp_path, write=disk.write)
    written = log(spool)
    await spool.confirm(written)
    disk.free.clear()
    lost = log(spool)
    await spool.confirm(lost)
    # What a kill leaves: the files as they are, and no locks.
    folder = tmp_path / "killed"
    folder.mkdir()
    for path in spool.folder.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    assert recover(folder)
    assert read_sealed(folder) == [written.request_id]
    found = read_counts(folder / COUNTERS)
    assert (found.records, found.in_doubt) == (1, frozenset())
    disk.free.set()
    assert spool.close(CLOSE_SECONDS)


@pytest.mark.parametrize("room", [0, 1, 700, 1100])
def test_a_disk_that_fills_up_drops_whole_records_and_goes_on_when_there_is_room(tmp_path: Path, room: int) -> None:
    disk = Disk()
    disk.room = room
    spool = open_spool(tmp_path, write=disk.write)
    tickets = [log(spool) for _ in range(5)]
    until(lambda: all(ticket.done for ticket in tickets))
    disk.room = None
    tickets += [log(spool) for _ in range(5)]
    assert spool.close(CLOSE_SECONDS)
    taken = [ticket.request_id for ticket in tickets if ticket.taken]
    assert len(taken) >= 5
    assert read_sealed(spool.folder) == taken
    assert read_counts(spool.folder / COUNTERS).records == 10 - len(taken)


def test_a_full_spool_drops_images_first_then_records_and_counts_exactly(tmp_path: Path) -> None:
    spool = open_spool(tmp_path, size=2**20)
    image = bytes(100_000)
    tickets = []
    for _ in range(1000):
        tickets.append(log(spool, image))
        until(lambda: tickets[-1].done)
    assert spool.used_bytes <= spool.budget_bytes + 4 * 4096
    assert spool.close(CLOSE_SECONDS)
    taken = {ticket.request_id for ticket in tickets if ticket.taken}
    images = read_sealed_images(spool.folder)
    found = read_counts(spool.folder / COUNTERS)
    assert 0 < len(images) < 10
    assert len(images) < len(taken) < 1000
    assert set(read_sealed(spool.folder)) == taken
    assert found.records == 1000 - len(taken)
    assert found.images == 1000 - len(images)
    assert sum(path.stat().st_blocks * 512 for path in spool.folder.iterdir()) < 2**20


def test_room_that_the_recorder_makes_is_used(tmp_path: Path) -> None:
    spool = open_spool(tmp_path, size=2**20, window=0.05)
    image = bytes(400_000)
    assert spool.reserve_image(len(image))
    first = new_id()
    spool.submit(first, make_line(first, image=True), SpooledImage(image, "png"))
    until(lambda: len(list_sealed(spool.folder)) == 1)
    assert not spool.reserve_image(len(image))
    delete_window(list_sealed(spool.folder)[0])
    until(lambda: spool.used_bytes < 100_000)
    assert spool.reserve_image(len(image))
    assert spool.close(CLOSE_SECONDS)


def test_an_image_that_the_disk_refuses_is_counted(tmp_path: Path) -> None:
    disk = Disk()
    spool = open_spool(tmp_path, write=disk.write)
    kept = log(spool, b"kept")
    until(lambda: spool.logged_images == 1)
    disk.room = 1000
    log(spool, bytes(5000))
    assert spool.close(CLOSE_SECONDS)
    disk.room = None
    assert read_sealed_images(spool.folder) == {kept.request_id}
    assert read_counts(spool.folder / COUNTERS).images == 1


@pytest.mark.parametrize("cut", [1, 600, 1500])
def test_a_torn_window_is_sealed_with_what_is_whole_in_it(tmp_path: Path, cut: int) -> None:
    spool = open_spool(tmp_path)
    tickets = [log(spool, bytes(1000)) for _ in range(3)]
    until(lambda: spool.logged_images == 3)
    folder = tmp_path / "killed"
    folder.mkdir()
    for path in spool.folder.iterdir():
        torn = path.read_bytes()
        end = {".tar": cut, ".jsonl": 10}.get(path.suffix, 0)
        (folder / path.name).write_bytes(torn[: len(torn) - end])
    assert spool.close(CLOSE_SECONDS)
    assert recover(folder)
    assert read_sealed(folder) == [ticket.request_id for ticket in tickets[:2]]
    (window,) = list_sealed(folder)
    with tarfile.open(window.images) as tar:
        assert len(tar.getnames()) == 2
    assert read_counts(folder / COUNTERS).images == 0
    assert recover(folder)
    assert len(list_sealed(folder)) == 1


def test_images_that_a_kill_lost_are_counted_by_their_records(tmp_path: Path) -> None:
    folder = tmp_path / "pod-1"
    folder.mkdir()
    lines = [make_line(new_id(), image=True), make_line(new_id())]
    (folder / f"{new_id().hex}.jsonl").write_bytes(b"".join(lines))
    assert recover(folder)
    assert read_counts(folder / COUNTERS).images == 1


def test_a_folder_has_one_writer_and_is_adopted_only_when_nobody_holds_it(tmp_path: Path) -> None:
    spool = open_spool(tmp_path)
    with pytest.raises(SpoolTakenError):
        open_spool(tmp_path)
    recorder = hold(spool.folder)
    assert recorder is not None
    assert not recover(spool.folder)
    assert spool.close(CLOSE_SECONDS)
    assert list_folders(tmp_path) == [spool.folder]
    assert adopt(spool.folder) is None
    recorder.release()
    adopter = adopt(spool.folder)
    assert adopter is not None
    with pytest.raises(SpoolTakenError):
        open_spool(tmp_path)
    adopter.release()
    assert open_spool(tmp_path).close(CLOSE_SECONDS)
