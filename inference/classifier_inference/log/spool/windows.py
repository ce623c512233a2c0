"""How a spool lies on disk: what the server's writer, the recorder and whoever adopts a folder agree on.

    <spool>/<writer>/          one folder a server: the pod's name
        lock                   flock, shared: held by the server and by its recorder; exclusive: by an adopter
        writing                flock, exclusive: held by the server while it lives
        counters               what was dropped (counters.py)
        <window>.jsonl         records of the window that is being written, appended; its last line may be torn
        <window>.tar           its images, `<request id>.<format>`; its last member may be torn
        <window>.sealed.jsonl  a window that is complete; its tar, if it has one, is complete too
        recorder.json          how the recorder is doing

A window's id is the hex of a UUIDv7 of its start, so that names sort by time. A window whose records are gone is gone;
its tar is deleted before them.
"""

import fcntl
import os
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from classifier_inference.log.record import ImageRef, Record, parse_record, read_milliseconds
from classifier_inference.log.spool.counters import Counters

OPEN_SUFFIX = ".jsonl"
SEALED_SUFFIX = ".sealed.jsonl"
TAR_SUFFIX = ".tar"
COUNTERS = "counters"
LOCK = "lock"
WRITING = "writing"

TAR_END = bytes(2 * tarfile.BLOCKSIZE)
"""What a tar ends with: two blocks of zeros."""


@dataclass(frozen=True)
class Window:
    """A sealed window of one writer."""

    id: str
    """Hex of a UUIDv7, without hyphens."""
    records: Path

    @property
    def images(self) -> Path:
        """Its tar; not there where no image was logged."""
        return self.records.with_name(self.id + TAR_SUFFIX)

    @property
    def start_milliseconds(self) -> int:
        """When it began, as Unix time in milliseconds."""
        return read_milliseconds(UUID(self.id))


def list_folders(spool: Path) -> list[Path]:
    """Return the folders of all writers that a spool has."""
    return sorted(path.parent for path in spool.glob(f"*/{LOCK}"))


def list_sealed(folder: Path) -> list[Window]:
    """Return the windows that can be shipped, oldest first."""
    paths = sorted(folder.glob(f"*{SEALED_SUFFIX}"))
    return [Window(path.name.removesuffix(SEALED_SUFFIX), path) for path in paths]


def list_open(folder: Path) -> list[Path]:
    """Return the record files that are being written, or were when their server was killed; oldest first."""
    return sorted(path for path in folder.glob(f"*{OPEN_SUFFIX}") if not path.name.endswith(SEALED_SUFFIX))


def delete_window(window: Window) -> None:
    """Remove a window that was shipped."""
    window.images.unlink(missing_ok=True)
    window.records.unlink(missing_ok=True)


def measure_folder(folder: Path) -> int:
    """Return the bytes of disk that a folder's files take."""
    total = 0
    with os.scandir(folder) as entries:
        for entry in entries:
            try:
                total += entry.stat(follow_symlinks=False).st_blocks * 512
            except FileNotFoundError:
                continue
    return total


class Lock:
    """A file lock that ends with the process, if not before."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def release(self) -> None:
        """Let others have it."""
        os.close(self._descriptor)


def hold(folder: Path) -> Lock | None:
    """Return the lock of a folder's own server or recorder; None while an adopter has it."""
    return _lock(folder / LOCK, fcntl.LOCK_SH)


def adopt(folder: Path) -> Lock | None:
    """Return the lock of a folder that nobody holds any more; None while its server, recorder or an adopter lives."""
    return _lock(folder / LOCK, fcntl.LOCK_EX)


def start_writing(folder: Path) -> Lock | None:
    """Return the lock of a folder's one writer; None where there is a writer already."""
    return _lock(folder / WRITING, fcntl.LOCK_EX)


def _lock(path: Path, kind: int) -> Lock | None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Not inherited: a child that outlives the holder must not hold it on.
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return Lock(descriptor)


def recover(folder: Path) -> bool:
    """Settle what a killed server left: seal its windows, count its losses. Return whether no server writes there."""
    writing = start_writing(folder)
    if writing is None:
        return False
    try:
        recover_locked(folder)
    finally:
        writing.release()
    return True


def recover_locked(folder: Path) -> None:
    """Do as recover does, with the writer's lock already held."""
    counters = Counters(folder / COUNTERS)
    try:
        _settle_doubts(folder, counters)
        for path in list_open(folder):
            _mend(path, counters)
    finally:
        counters.close()


def _settle_doubts(folder: Path, counters: Counters) -> None:
    # A record in doubt lies in the window that was being written: those that are sealed were complete.
    doubted = counters.counts.in_doubt
    if doubted:
        found = {UUID(record.request_id) for path in list_open(folder) for record in read_records(path)}
        counters.settle(doubted, records=len(doubted - found))


def _mend(path: Path, counters: Counters) -> None:
    """Cut the torn ends off a window's files, count the images that never came, and seal it."""
    tar = path.with_name(path.name.removesuffix(OPEN_SUFFIX) + TAR_SUFFIX)
    images = read_images(tar)
    end = max((ref.offset + _padded(ref.size) for ref in images.values()), default=0)
    missing = sum(record.image.logged and record.request_id not in images for record in read_records(path))
    if tar.exists():
        with tar.open("r+b") as file:
            file.truncate(end)
            file.seek(end)
            file.write(TAR_END)
    if missing:
        counters.add(images=missing)
    seal(path)


def seal(path: Path) -> None:
    """Say that a window is complete."""
    path.rename(path.with_name(path.name.removesuffix(OPEN_SUFFIX) + SEALED_SUFFIX))


def read_records(path: Path) -> Iterator[Record]:
    """Yield a record file's records, passing over lines that were torn."""
    with path.open("rb") as file:
        for line in file:
            record = parse_record(line)
            if record is not None:
                yield record


def read_images(path: Path) -> dict[str, ImageRef]:
    """Return where each image of a tar lies, by request id; up to its end, or to where it was torn."""
    found: dict[str, ImageRef] = {}
    try:
        size = path.stat().st_size
        file = path.open("rb")
    except FileNotFoundError:
        return found
    with file:
        offset = 0
        while offset + tarfile.BLOCKSIZE <= size:
            file.seek(offset)
            try:
                member = tarfile.TarInfo.frombuf(file.read(tarfile.BLOCKSIZE), "ascii", "strict")
            except tarfile.HeaderError:
                break
            offset += tarfile.BLOCKSIZE
            if offset + _padded(member.size) > size:
                break
            found[member.name.partition(".")[0]] = ImageRef(offset, member.size)
            offset += _padded(member.size)
    return found


def build_member(request_id: str, suffix: str, content: bytes, seconds: int) -> list[bytes]:
    """Return the parts of an image's member of a tar: header, content, padding."""
    member = tarfile.TarInfo(f"{request_id}.{suffix}")
    member.size = len(content)
    member.mtime = seconds
    header = member.tobuf(tarfile.USTAR_FORMAT, "ascii", "strict")
    return [header, content, bytes(_padded(member.size) - member.size)]


def _padded(size: int) -> int:
    return -(-size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
