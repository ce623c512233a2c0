"""What the spool had to drop: counted in a file that is exact even after SIGKILL.

The file is mapped into memory, so that counting is a store and not a write that a slow disk can hold up, and what was
stored stays when the process is killed. Before it is mapped all of it is written: a store into a block that a full disk
can't give ends the process (SIGBUS). Two slots and the number of the one that counts: a new state goes into the other
slot, then one byte changes. A kill leaves the old state or the new one, never half of each.

Records in doubt are those whose answer left before the disk had taken them. Each is settled when the write ends, or, by
looking for it in the log, when the next start or an adopter finds it here.
"""

import errno
import mmap
import os
import struct
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import UUID

MOST_IN_DOUBT = 1024

_MAGIC = b"ICSPOOL1"
_SELECTOR = len(_MAGIC)
_FIRST_SLOT = 64
_HEAD = struct.Struct("<QQQQ")
_ID_BYTES = 16
_SLOT_BYTES = _HEAD.size + MOST_IN_DOUBT * _ID_BYTES
_FILE_BYTES = _FIRST_SLOT + 2 * _SLOT_BYTES


@dataclass(frozen=True)
class Counts:
    """What was dropped since the folder was made."""

    records: int = 0
    images: int = 0
    in_doubt: frozenset[UUID] = frozenset()
    """Request ids that were answered before it was known whether their record is in the log."""


class Counters:
    """The counter file of one folder, open to be changed. Not for several threads at once."""

    def __init__(self, path: Path) -> None:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            if os.fstat(descriptor).st_size != _FILE_BYTES:
                _fill(descriptor)
            self._map = mmap.mmap(descriptor, _FILE_BYTES)
        finally:
            os.close(descriptor)
        self._state, self._generation = _parse(self._map)

    @property
    def counts(self) -> Counts:
        """What is counted now."""
        return self._state

    def add(self, records: int = 0, images: int = 0) -> None:
        """Count what was dropped."""
        self._store(
            replace(self._state, records=self._state.records + records, images=self._state.images + images),
        )

    def doubt(self, request_id: UUID) -> None:
        """Note a record that was answered and may or may not get into the log."""
        self._store(replace(self._state, in_doubt=self._state.in_doubt | {request_id}))

    def settle(self, request_ids: frozenset[UUID], records: int, images: int = 0) -> None:
        """Take records out of doubt and count what was dropped, in one step."""
        state = self._state
        self._store(Counts(state.records + records, state.images + images, state.in_doubt - request_ids))

    def close(self) -> None:
        """Let go of the file."""
        self._map.close()

    def _store(self, state: Counts) -> None:
        slot = 1 - self._map[_SELECTOR]
        self._generation += 1
        start = _FIRST_SLOT + slot * _SLOT_BYTES
        head = _HEAD.pack(self._generation, state.records, state.images, len(state.in_doubt))
        content = head + b"".join(found.bytes for found in state.in_doubt)
        self._map[start : start + len(content)] = content
        self._map[_SELECTOR] = slot
        self._state = state


def _fill(descriptor: int) -> None:
    content = _MAGIC.ljust(_FILE_BYTES, b"\0")
    if os.pwrite(descriptor, content, 0) < len(content):
        raise OSError(errno.ENOSPC, "no room for the counters")


def read_counts(path: Path) -> Counts:
    """Return what a counter file says while another process may be changing it; zeros where there is none."""
    while True:
        first, second = _read(path), _read(path)
        if first == second:
            return first[0]


def _read(path: Path) -> tuple[Counts, int]:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return Counts(), 0
    return _parse(content) if len(content) == _FILE_BYTES else (Counts(), 0)


def _parse(content: bytes | mmap.mmap) -> tuple[Counts, int]:
    start = _FIRST_SLOT + content[_SELECTOR] * _SLOT_BYTES
    generation, records, images, doubted = _HEAD.unpack(content[start : start + _HEAD.size])
    ids = content[start + _HEAD.size : start + _HEAD.size + doubted * _ID_BYTES]
    in_doubt = frozenset(UUID(bytes=bytes(ids[at : at + _ID_BYTES])) for at in range(0, len(ids), _ID_BYTES))
    return Counts(records, images, in_doubt), generation
