"""Files elsewhere: how one is read, whatever the protocol."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

CHUNK_BYTES = 2**20


@dataclass(frozen=True)
class RemoteFile:
    """One file of some store."""

    address: str
    """To show: without what may be secret."""
    read: Callable[[], AbstractContextManager[Iterator[bytes]]]
    """Opens it: its bytes, in pieces. Raises StoreError, then and while it is read."""


class Folder(Protocol):
    """Files that lie together, by their paths."""

    def file(self, path: str) -> RemoteFile:
        """Return the file at a path; the path has been checked to stay inside."""
