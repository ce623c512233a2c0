"""A fixed number of worker threads behind a bounded queue, so that work never runs on the event loop."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Generic, TypeVar

ResultT = TypeVar("ResultT")


def count_workers(cpus: int) -> int:
    """Return how many threads keep that many processors busy: one more than them, for those that wait for the lock.

    Python's interpreter lock is what they wait for, and a single thread has nobody to wait for.
    """
    return cpus + 1 if cpus > 1 else 1


class QueueFullError(Exception):
    """As many requests wait as may."""


class _Job(Generic[ResultT]):
    """A call that waits. The executor keeps it until a thread is free, cancelled or not: so it can be emptied."""

    def __init__(self, work: Callable[[], ResultT]) -> None:
        self.work: Callable[[], ResultT] | None = work

    def run(self) -> ResultT:
        assert self.work is not None  # noqa: S101 - a cancelled future isn't run
        return self.work()


class Pool:
    """Runs functions on worker threads; refuses what would have to wait behind more than `queue` others.

    A call that is cancelled while it waits gives up its place at once, and what it holds.
    """

    def __init__(self, workers: int, queue: int) -> None:
        self._executor = ThreadPoolExecutor(workers, thread_name_prefix="worker")
        self._workers = workers
        self._queue = queue
        self._lock = threading.Lock()
        self._taken = 0
        self._kept = 0

    @property
    def waiting(self) -> int:
        """How many calls wait for a thread now."""
        return max(0, self._taken - self._kept - self._workers)

    @property
    def is_full(self) -> bool:
        """Whether a call would be refused now."""
        return self._taken >= self._workers + self._queue

    @contextmanager
    def keep_place(self, seconds: float) -> Iterator["Place"]:
        """Take a place for a call that is still being prepared, for so long at most. Raises QueueFullError.

        Whoever prepares longer has to find a new place when it runs: who sends slowly keeps nobody out.
        """
        with self._lock:
            self._take()
            self._kept += 1
        place = Place(self)
        timer = asyncio.get_running_loop().call_later(seconds, place.give_up)
        try:
            yield place
        finally:
            timer.cancel()
            place.give_up()

    async def run(self, work: Callable[[], ResultT], place: "Place | None" = None) -> ResultT:
        """Return what `work` returns, run in the place kept for it. Raises QueueFullError, and what it raises."""
        return await asyncio.wrap_future(self.start(work, place))

    def start(self, work: Callable[[], ResultT], place: "Place | None" = None) -> Future[ResultT]:
        """Return what `work` will return; it can be cancelled until it has begun. Raises QueueFullError."""
        if place is None or not place.hand_over():
            with self._lock:
                self._take()
        job = _Job(work)
        try:
            future = self._executor.submit(job.run)
        except RuntimeError:
            self._release()
            raise

        def end(_: object) -> None:
            job.work = None
            self._release()

        future.add_done_callback(end)
        return future

    def close(self) -> None:
        """Take no more calls; those that wait are dropped, those that run are not waited for."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _take(self) -> None:
        if self.is_full:
            raise QueueFullError
        self._taken += 1

    def _release(self) -> None:
        with self._lock:
            self._taken -= 1

    def _end_keeping(self) -> None:
        with self._lock:
            self._kept -= 1


class Place:
    """A place in a pool's queue, kept until it is handed over or given up."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._kept = True

    def hand_over(self) -> bool:
        """End the keeping, and return whether the place is there to be used."""
        kept, self._kept = self._kept, False
        if kept:
            self._pool._end_keeping()
        return kept

    def give_up(self) -> None:
        """Leave the place to others, unless it has been used."""
        if self.hand_over():
            self._pool._release()
