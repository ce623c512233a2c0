"""The running operator: waits for the CRD, lists objects now and then, and keeps workers on the queue."""

import asyncio
import contextlib
import os
import threading
import time
from datetime import UTC, datetime
from typing import Any

import httpx2
import structlog
from prometheus_client import start_http_server

from classifier_operator import metrics, reasons
from classifier_operator.attempts import Attempts
from classifier_operator.cluster import connect, fetch_served_schema
from classifier_operator.crd_check import describe_crd_problem
from classifier_operator.decide.sharing import wants_shared
from classifier_operator.decide.status import find_condition
from classifier_operator.key import Key
from classifier_operator.loss_ledger import LossLedger
from classifier_operator.mend import Mender
from classifier_operator.observe import Observer
from classifier_operator.reconcile import Reconciler
from classifier_operator.reconcile_shared import SharedReconciler
from classifier_operator.settings import Settings
from classifier_operator.sink_poller import HealthPoller
from classifier_operator.workqueue import WorkQueue

CRD_RETRY_SECONDS = 5.0
EXIT_SECONDS = 5.0
"""How long the process may take to end once its work has."""
_log = structlog.get_logger()


class Controller:
    """The queue and the tasks that empty it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stack = contextlib.AsyncExitStack()
        self._tasks: list[asyncio.Task[None]] = []
        self._queue: WorkQueue | None = None
        self._ledger = LossLedger()

    @property
    def watches_one_namespace(self) -> bool:
        """Whether the operator has rights in a single namespace."""
        return bool(self._settings.watch_namespace)

    async def start(self) -> None:
        """Wait for the CRD, then begin to work."""
        start_http_server(self._settings.metrics_port)
        await self._await_crd()
        cluster = await self._stack.enter_async_context(connect())
        attempts = Attempts(time.monotonic)
        ca_bundle = self._settings.read_ca_bundle()
        observer, mender = Observer(cluster), Mender(cluster, attempts)
        shared = SharedReconciler(observer, mender, attempts, self._settings, ca_bundle, self.trigger)
        poller = HealthPoller(lambda key: self.trigger(key.namespace, key.name))
        reconciler = Reconciler(
            observer,
            mender,
            attempts,
            self._ledger,
            poller,
            shared.find_problem,
            self._settings,
            ca_bundle,
            clock=lambda: datetime.now(UTC),
        )

        async def work(key: Key) -> float | None:
            return await (reconciler.reconcile(key) if key.name else shared.reconcile(key.namespace))

        self._queue = queue = WorkQueue(work)
        runs = [queue.run() for _ in range(self._settings.workers)]
        for run in [*runs, self._resync(observer, queue), poller.run()]:
            task = asyncio.create_task(run)
            task.add_done_callback(_end_process_unless_cancelled)
            self._tasks.append(task)

    async def stop(self) -> None:
        """Stop working; what is unfinished is found again at the next start."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._stack.aclose()
        _end_process_after(EXIT_SECONDS)

    def trigger(self, namespace: str | None, name: str | None) -> None:
        """Have an object looked at."""
        if self._queue is not None and namespace and name:
            self._queue.add(Key(namespace, name))

    def trigger_shared(self, namespace: str | None) -> None:
        """Have what is shared in a namespace looked at."""
        if self._queue is not None and namespace:
            self._queue.add(Key(namespace))

    def note_pod(self, pod: dict[str, Any]) -> None:
        """Take note of what ended with a pod."""
        if self._queue is not None:
            self._ledger.note_pod(pod)

    async def _await_crd(self) -> None:
        told = None
        while True:
            try:
                problem = describe_crd_problem(await fetch_served_schema())
            except httpx2.HTTPError as error:
                problem = f"the API server can't be asked for its schemas: {error!r}"
            if problem is None:
                return
            if problem != told:
                _log.error("waiting for the CRD", problem=problem)
                told = problem
            await asyncio.sleep(CRD_RETRY_SECONDS)

    async def _resync(self, observer: Observer, queue: WorkQueue) -> None:
        """List the objects from the API server now and then: a watch tells nothing of what it missed."""
        scope = self._settings.watch_namespace or "*"
        while True:
            try:
                bodies = await observer.observe_objects(scope)
                namespaces = await observer.observe_shared_namespaces(scope)
            except Exception as error:  # noqa: BLE001 - the API server may be away; the next pass asks again
                _log.warning("can't list objects", error=str(error))
            else:
                for body in bodies:
                    queue.add(Key(body["metadata"]["namespace"], body["metadata"]["name"]))
                for namespace in namespaces | {body["metadata"]["namespace"] for body in bodies if wants_shared(body)}:
                    queue.add(Key(namespace))
                _count_objects(bodies)
            await asyncio.sleep(self._settings.resync_seconds)


def _count_objects(bodies: list[dict[str, Any]]) -> None:
    counts = dict.fromkeys(("True", "False", "Unknown"), 0)
    for body in bodies:
        ready = find_condition(body.get("status", {}), reasons.READY)
        counts[ready["status"] if ready else "Unknown"] += 1
    for status, count in counts.items():
        metrics.OBJECTS.labels(status).set(count)


def _end_process_after(seconds: float) -> None:
    """See to it that the process ends: after a failure Kopf may wait for its watches, which nothing ends any more."""
    watchdog = threading.Timer(seconds, os._exit, [1])
    watchdog.daemon = True
    watchdog.start()


def _end_process_unless_cancelled(task: asyncio.Task[None]) -> None:
    """End the process where a worker died: a new one is the only state that can be relied on."""
    if not task.cancelled():
        _log.critical("a worker died", error=repr(task.exception()))
        os._exit(1)
