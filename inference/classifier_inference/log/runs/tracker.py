"""Asks MLflow on behalf of a route: from threads of its own, within bounded time, on a client a request."""

import asyncio
import ssl
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import cached_property
from typing import TypeVar

import httpx2

from classifier_inference.log.open_log import TrackingSettings
from classifier_inference.log.sinks.artifact_store import ArtifactStore, open_storage
from classifier_inference.stores.authorities import make_context
from classifier_inference.stores.mlflow_api.run_client import MlflowClient, connect
from classifier_inference.stores.store_error import MlflowError, Trouble

REACH_SECONDS = 1.7
"""How long MLflow may take to give a first sign of life: with it gone, the answer comes within 2 seconds."""

WORK_SECONDS = 30

_THREADS = 4
_REACH_TIMEOUT = httpx2.Timeout(1.0, connect=0.6)
_WORK_TIMEOUT = httpx2.Timeout(15, connect=2)
_NO_RUN = "0" * 32

ResultT = TypeVar("ResultT")


class Tracker:
    """Asks one MLflow server."""

    def __init__(self, settings: TrackingSettings) -> None:
        self.settings = settings
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="tracking")

    async def ask(self, work: Callable[[MlflowClient, ArtifactStore], ResultT]) -> ResultT:
        """Return what `work` returns, called in a thread. Raises StoreError, where MLflow is gone within 2 seconds."""
        await self.reach()
        return await self.run(lambda: self._work(work), WORK_SECONDS)

    async def reach(self) -> None:
        """Return once MLflow has answered. Raises StoreError."""
        await self.run(self._reach, REACH_SECONDS)

    async def run(self, work: Callable[[], ResultT], seconds: float) -> ResultT:
        """Return what `work` returns, called in a thread. Raises StoreError for what takes too long; it runs on."""
        try:
            return await asyncio.wait_for(asyncio.get_running_loop().run_in_executor(self._threads, work), seconds)
        except TimeoutError:
            message = f"no answer within {seconds:g} s"
            raise MlflowError(Trouble.AWAY, message) from None

    @cached_property
    def _context(self) -> ssl.SSLContext:
        return make_context(self.settings.ca_file)

    def _make_client(self, timeout: httpx2.Timeout, answer_seconds: float) -> MlflowClient:
        # What isn't waited for any longer must end soon too: there are few threads.
        return connect(self.settings.uri, timeout=timeout, verify=self._context, answer_seconds=answer_seconds)

    def _reach(self) -> None:
        with closing(self._make_client(_REACH_TIMEOUT, REACH_SECONDS)) as mlflow:
            mlflow.get_run(_NO_RUN)

    def _work(self, work: Callable[[MlflowClient, ArtifactStore], ResultT]) -> ResultT:
        s3 = open_storage(self.settings.storage, self.settings.ca_file)
        with closing(self._make_client(_WORK_TIMEOUT, WORK_SECONDS)) as mlflow:
            return work(mlflow, ArtifactStore(mlflow, s3))
