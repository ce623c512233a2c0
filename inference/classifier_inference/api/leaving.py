"""Work that nobody waits for any more: left undone, if it has not begun."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from starlette.requests import ClientDisconnect, Request

from classifier_inference.pool import Place, Pool

ResultT = TypeVar("ResultT")


async def run_while_asked(pool: Pool, work: Callable[[], ResultT], place: Place, request: Request) -> ResultT:
    """Return what `work` returns. Raises ClientDisconnect where the client goes away before its turn has come.

    Whoever has a turn at once is not watched: that would cost more than it could save. The body must have been read.
    """
    if not pool.is_busy:
        return await pool.run(work, place)
    begun = gone = False

    def begin() -> ResultT:
        nonlocal begun
        begun = True
        # After `begun` is set, as `gone` is set before that is looked at: one of both threads sees the other.
        if gone:
            raise ClientDisconnect
        return work()

    working = asyncio.ensure_future(pool.run(begin, place))
    leaving = asyncio.create_task(_wait_for_leaving(request))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            gone = True
            if not begun:
                working.cancel()
                raise ClientDisconnect
        return await working
    finally:
        leaving.cancel()
        working.cancel()


async def _wait_for_leaving(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
