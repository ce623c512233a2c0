"""Work that nobody waits for any more: left undone, if it has not begun."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from starlette.requests import ClientDisconnect

from classifier_inference.engine.pool import Place, Pool

ResultT = TypeVar("ResultT")

STATE_KEY = "client"


class Client:
    """Whoever is at the other end of a connection. The protocol puts one into each request's state."""

    def __init__(self) -> None:
        self.is_gone = False
        self._on_leaving: Callable[[], object] | None = None

    def leave(self) -> None:
        """Note that the connection is lost; whatever was to be told is told now."""
        self.is_gone = True
        if self._on_leaving is not None:
            self._on_leaving()

    @contextmanager
    def telling(self, call: Callable[[], object]) -> Iterator[None]:
        """Have something called when the client leaves meanwhile. For one request: HTTP/1.1 answers one at a time."""
        self._on_leaving = call
        try:
            yield
        finally:
            self._on_leaving = None


async def run_while_asked(pool: Pool, work: Callable[[], ResultT], place: Place, client: Client) -> ResultT:
    """Return what `work` returns. Raises ClientDisconnect where the client goes away before its turn has come."""
    if client.is_gone:
        raise ClientDisconnect
    working = pool.start(work, place)
    # What has begun can't be cancelled, and is not.
    with client.telling(working.cancel):
        try:
            return await asyncio.wrap_future(working)
        except asyncio.CancelledError:
            if client.is_gone and working.cancelled():
                raise ClientDisconnect from None
            raise
