"""A fixed number of worker threads behind a bounded queue, so that work never runs on the event loop."""

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

ResultT = TypeVar("ResultT")


class QueueFullError(Exception):
    """As many requests wait as may."""


class Pool:
    """Runs functions on worker threads; refuses what would have to wait behind more than `queue` others."""

    def __init__(self, workers: int, queue: int) -> None:
        self._executor = ThreadPoolExecutor(workers, thread_name_prefix="worker")
        self._workers = workers
        self._queue = queue
        self._lock = threading.Lock()
        self._taken = 0

    @property
    def waiting(self) -> int:
        """How many calls wait for a thread now."""
        return max(0, self._taken - self._workers)

    @property
    def is_full(self) -> bool:
        """Whether a call would be refused now."""
        return self._taken >= self._workers + self._queue

    async def run(self, work: Callable[[], ResultT]) -> tuple[ResultT, float]:
        """Return what `work` returns and the seconds it waited. Raises QueueFullError, and what `work` raises."""
        with self._lock:
            if self.is_full:
                raise QueueFullError
            self._taken += 1
        asked = time.perf_counter()

        def timed() -> tuple[ResultT, float]:
            waited = time.perf_counter() - asked
            return work(), waited

        try:
            future = self._executor.submit(timed)
        except RuntimeError:
            self._release()
            raise
        future.add_done_callback(lambda _: self._release())
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Take no more calls; those that wait are dropped, those that run are not waited for."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _release(self) -> None:
        with self._lock:
            self._taken -= 1
