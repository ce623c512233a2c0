"""Files elsewhere: how one is read, and what may go wrong with that, whatever the protocol."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

CHUNK_BYTES = 2**20


class PassingError(Exception):
    """What was asked for didn't come, and may come the next time."""


class RefusedError(Exception):
    """What was asked for doesn't come, however often it is asked for; the message says why."""

    def __init__(self, message: str, *, missing: bool = False) -> None:
        super().__init__(message)
        self.missing = missing
        """Whether there is nothing at the address, rather than no way to it."""


@dataclass(frozen=True)
class RemoteFile:
    """One file of some store."""

    address: str
    """To show: without what may be secret."""
    read: Callable[[], AbstractContextManager[Iterator[bytes]]]
    """Opens it: its bytes, in pieces. Raises PassingError and RefusedError, then and while it is read."""


class Folder(Protocol):
    """Files that lie together, by their paths."""

    def file(self, path: str) -> RemoteFile:
        """Return the file at a path; the path has been checked to stay inside."""
