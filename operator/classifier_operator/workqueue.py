"""A queue of object keys: one task a key at a time, later triggers fold into one, failures come back later."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import structlog

from classifier_operator import metrics
from classifier_operator.key import Key

_log = structlog.get_logger()
FIRST_DELAY = 0.2
LONGEST_DELAY = 30.0


class WorkQueue:
    """Holds keys until a worker has dealt with them.

    `work` returns the seconds after which to come back unasked, or None.
    """

    def __init__(self, work: Callable[[Key], Awaitable[float | None]]) -> None:
        self._work = work
        self._waiting: asyncio.Queue[Key] = asyncio.Queue()
        self._due: set[Key] = set()
        self._running: set[Key] = set()
        self._failures: dict[Key, int] = {}
        self._timers: dict[Key, asyncio.TimerHandle] = {}

    def add(self, key: Key) -> None:
        """See to it that the key is worked on from its start at least once after this call."""
        if key not in self._due:
            self._due.add(key)
            if key not in self._running:
                self._waiting.put_nowait(key)
        metrics.QUEUED.set(len(self._due))

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            key = await self._waiting.get()
            self._due.discard(key)
            self._running.add(key)
            metrics.QUEUED.set(len(self._due))
            self._forget_timer(key)
            delay = await self._attempt(key)
            self._running.discard(key)
            if key in self._due:
                self._waiting.put_nowait(key)
            elif delay is not None:
                self._timers[key] = asyncio.get_running_loop().call_later(delay, self.add, key)

    def _forget_timer(self, key: Key) -> None:
        """See to it that a key has one timer at most: else each trigger from outside would leave one more behind."""
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()

    async def _attempt(self, key: Key) -> float | None:
        started = time.perf_counter()
        try:
            delay = await self._work(key)
        except Exception as error:  # noqa: BLE001 - whatever it is, the key comes back and the others go on
            failures = self._failures[key] = self._failures.get(key, 0) + 1
            delay = min(FIRST_DELAY * 2 ** (failures - 1), LONGEST_DELAY)
            _log.warning("reconcile failed", namespace=key.namespace, name=key.name, error=str(error), retry_in=delay)
            metrics.RECONCILES.labels("error").inc()
        else:
            self._failures.pop(key, None)
            metrics.RECONCILES.labels("success").inc()
        metrics.RECONCILE_SECONDS.observe(time.perf_counter() - started)
        return delay
