"""What requests in flight may hold: their bodies and their pixels, counted together before they are allocated.

Bodies may take a share alone, so that there is always room for the pixels of one of them: the largest image that is let
in can wait for its turn, and never waits for ever.
"""

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from classifier_inference.engine.container import read_memory_limit
from classifier_inference.spec.limits import MEMORY_LEAST_BYTES

BODY_SHARE = 0.25
"""Of all memory for requests: what bodies may take."""

SPARE_SHARE = 0.1
"""Of the container's limit: what is left for sockets, the model's own buffers and what lies between allocations."""

MACHINE_SHARE = 0.5
"""Of a machine that sets no limit: what one server takes for requests."""


class MemoryFullError(Exception):
    """Requests in flight hold all that they may; later they won't."""


class NeverFitsError(Exception):
    """This takes more than there will ever be; the message gives the numbers."""


def decide_limit(asked: int | None, container: int | None, machine: int, held: int) -> int:
    """Return how many bytes requests may take: what is asked for, or what the container has left, or half the machine.

    `container` is its limit in bytes, or None; `held` what the process holds before it answers anything.
    """
    if asked is not None:
        return asked
    if container is None:
        return int(machine * MACHINE_SHARE)
    return max(MEMORY_LEAST_BYTES, container - held - int(container * SPARE_SHARE))


def measure_limit(asked: int | None) -> int:
    """Return how many bytes requests may take in this process, as it is now."""
    held = psutil.Process().memory_info().rss
    return decide_limit(asked, read_memory_limit(), psutil.virtual_memory().total, held)


class Memory:
    """Counts the bytes that requests hold; safe to use from many threads."""

    def __init__(self, limit: int) -> None:
        self._turn = threading.Condition()
        self._limit = limit
        self._bodies = 0
        self._pixels = 0
        self._waiting: deque[object] = deque()

    @property
    def limit(self) -> int:
        """How many bytes there are."""
        return self._limit

    @limit.setter
    def limit(self, limit: int) -> None:
        with self._turn:
            self._limit = limit
            self._turn.notify_all()

    @property
    def used(self) -> int:
        """How many bytes are held now."""
        return self._bodies + self._pixels

    @property
    def body_limit(self) -> int:
        """How many bytes all bodies may hold."""
        return int(self._limit * BODY_SHARE)

    @contextmanager
    def hold_body(self) -> Iterator["HeldBody"]:
        """Count a body for as long as it is held."""
        held = HeldBody(self)
        try:
            yield held
        finally:
            with self._turn:
                self._bodies -= held.size
                held.ended = True
                self._turn.notify_all()

    @contextmanager
    def hold_pixels(self, size: int) -> Iterator[None]:
        """Count an image's pixels for as long as they are held; wait for them, first come, first served.

        Raises NeverFitsError.
        """
        with self._turn:
            most = self._limit - self.body_limit
            if size > most:
                raise NeverFitsError(f"decoding the image takes {size} bytes of memory, and there are {most}")
            place = object()
            self._waiting.append(place)
            self._turn.wait_for(lambda: self._waiting[0] is place and self.used + size <= self._limit)
            self._waiting.popleft()
            self._pixels += size
            self._turn.notify_all()
        try:
            yield
        finally:
            with self._turn:
                self._pixels -= size
                self._turn.notify_all()

    def _grow(self, held: "HeldBody", size: int) -> None:
        with self._turn:
            if held.size + size > self.body_limit:
                raise NeverFitsError(
                    f"the body takes {held.size + size} bytes of memory, and bodies have {self.body_limit}"
                )
            if held.ended or self._bodies + size > self.body_limit or self.used + size > self._limit:
                raise MemoryFullError
            self._bodies += size
            held.size += size


class HeldBody:
    """What one request's body holds."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self.size = 0
        self.ended = False
        """Whether nobody waits for it any more."""

    def grow(self, size: int) -> None:
        """Count more bytes, before they come. Raises MemoryFullError, or NeverFitsError."""
        self._memory._grow(self, size)
