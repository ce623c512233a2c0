"""What one prediction's record is waited for by: done once it is known whether the disk has taken it."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class SpooledImage:
    """An image on its way to the spool."""

    content: bytes
    suffix: str
    """Its format, such as jpeg."""


class Ticket:
    """One record on its way to the disk. Changed under the ledger's lock; read, and waited for, without it."""

    __slots__ = ("_waiter", "done", "doubted", "image", "line", "request_id", "taken")

    def __init__(self, request_id: UUID, line: bytes, image: SpooledImage | None) -> None:
        self.request_id = request_id
        self.line = line
        self.image = image
        self.done = False
        self.taken = False
        """Whether the record is in the spool, once it is done; else it was dropped, and counted."""
        self.doubted = False
        """Whether nobody waited for it any longer before it was done."""
        self._waiter: tuple[asyncio.AbstractEventLoop, asyncio.Future[None]] | None = None

    async def wait(self, seconds: float) -> bool:
        """Return whether it was done in time. For one waiter, on an event loop."""
        if self.done:
            return True
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        self._waiter = loop, future
        # `wake` looks for the waiter after it was done, and we look whether it is done after there is one: one of both
        # sees the other.
        if self.done:
            return True
        timer = loop.call_later(seconds, _settle, future)
        try:
            await future
        finally:
            timer.cancel()
        return self.done

    def wake(self) -> None:
        """Tell whoever waits that it is done. From any thread."""
        if self._waiter is not None:
            loop, future = self._waiter
            with suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(_settle, future)


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
