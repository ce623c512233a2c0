"""Runs the application: the port opens at once, the model loads beside it, SIGTERM drains."""

import asyncio
import contextlib
import os
import signal
import socket
import time
from concurrent.futures import Future
from pathlib import Path
from types import FrameType

import structlog
import uvicorn
from uuid_utils import uuid7

from classifier_inference.engine.container import count_cpus
from classifier_inference.engine.malloc import release_free_memory
from classifier_inference.engine.memory import Memory, measure_limit
from classifier_inference.engine.pool import Pool, count_workers
from classifier_inference.engine.quick_start import finish_start
from classifier_inference.http.api_keys import open_api_keys
from classifier_inference.http.app import make_app
from classifier_inference.http.protocol import make_protocol
from classifier_inference.http.serving import Fetcher, Serving
from classifier_inference.http.settings import Settings
from classifier_inference.http.tracing import open_spans
from classifier_inference.images.resize import METHOD
from classifier_inference.log.logger import Origin
from classifier_inference.log.open_log import describe_tracking, open_log
from classifier_inference.model.loaded_classifier import LoadedClassifier
from classifier_inference.report.start_error import StartError
from classifier_inference.report.termination_log import write_termination
from classifier_inference.spec.classifier import Classifier
from classifier_inference.stores.named_images import RemoteImages

KEEP_ALIVE_SECONDS = 120
"""Longer than ingress controllers keep idle connections, so that it is they who close them: none is reused too late."""

FINISH_SECONDS = 20
"""How long requests in flight may take after the drain; with it, less than a pod's 40 s of grace."""

SPOOL_SECONDS = 5
"""How long the spool may take to write what waits. What it has not sealed by then, the recorder seals."""

SPANS_SECONDS = 3
"""How long the last spans may take to be exported, beside the spool."""

FETCH_THREADS = 8
"""Images that are brought from elsewhere at once."""

_log = structlog.get_logger("server")


class DrainingServer(uvicorn.Server):
    """Uvicorn, but SIGTERM keeps answering for a while, and both signals end with status 0."""

    def __init__(self, config: uvicorn.Config, serving: Serving, drain_seconds: float) -> None:
        super().__init__(config)
        self._serving = serving
        self._drain_seconds = drain_seconds
        self._exit_at: float | None = None
        self.listening = asyncio.Event()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to drain on SIGTERM, or end: on SIGINT, on a second signal, and while nothing is answered anyway."""
        if sig == signal.SIGTERM and self._serving.is_ready:
            self._serving.draining = True
            self._exit_at = time.monotonic() + self._drain_seconds
            return
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self._serving.draining = True
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Open the port, and say so."""
        await super().startup(sockets)
        self.listening.set()
        _log.info("listening", host=self.config.host, port=self.config.port)

    async def on_tick(self, counter: int) -> bool:
        """Return whether to end now; Uvicorn asks ten times a second."""
        if self._exit_at is not None and time.monotonic() >= self._exit_at:
            self.should_exit = True
        return await super().on_tick(counter)


def run_server(classifier: Classifier, loading: Future[LoadedClassifier], settings: Settings) -> int:
    """Serve until a signal comes; return the process's exit status.

    A StartError from `loading` is written to the termination log and ends the server with status 1.
    """
    try:
        api_keys = open_api_keys(classifier.spec.auth, settings.api_keys)
        fetcher = _make_fetcher(classifier, settings.ca_file)
        log = open_log(classifier, settings.spool, settings.pod, settings.namespace)
    except StartError as error:
        write_termination(error.failure, settings.termination_log)
        return 1
    serving = Serving(
        classifier=classifier,
        fetcher=fetcher,
        pool=Pool(count_workers(count_cpus()), classifier.spec.limits.queue),
        memory=Memory(measure_limit(classifier.spec.limits.memory)),
        new_request_id=lambda: str(uuid7()),
        image_root=settings.image_root,
        api_keys=api_keys,
        log=log,
        tracking=describe_tracking(classifier, settings.spool, settings.pod, settings.namespace, settings.ca_file),
        spans=open_spans(os.environ, Origin(classifier.name, settings.namespace, settings.pod)),
    )
    config = uvicorn.Config(
        make_app(serving, settings.root_path, settings.cors),
        host=settings.host,
        port=settings.port,
        loop="asyncio",
        http=make_protocol(classifier.spec.limits.body_timeout, serving.new_request_id),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=FINISH_SECONDS,
    )
    server = DrainingServer(config, serving, settings.drain_seconds)
    finish_start()
    try:
        return asyncio.run(_serve(server, serving, loading, settings))
    finally:
        closing = serving.spans.begin_closing() if serving.spans is not None else None
        if log is not None and not log.spool.close(SPOOL_SECONDS):
            _log.warning("the spool is left as it is: its disk is too slow", folder=str(log.spool.folder))
        if closing is not None:
            closing.join(SPANS_SECONDS)


def _make_fetcher(classifier: Classifier, ca_file: Path | None) -> Fetcher | None:
    """Return what brings images from the addresses that are allowed, if any is. Raises StartError."""
    images, limits = classifier.spec.images, classifier.spec.limits
    if not images.allow:
        return None
    return Fetcher(RemoteImages(images, limits.bytes, ca_file, os.environ), Pool(FETCH_THREADS, limits.queue))


async def _serve(
    server: DrainingServer, serving: Serving, loading: Future[LoadedClassifier], settings: Settings
) -> int:
    taking = asyncio.create_task(_take_loaded(server, serving, loading, settings))
    try:
        await server.serve()
    except SystemExit:  # Uvicorn's word for a port that can't be opened; it has said why
        return 1
    finally:
        serving.pool.close()
        if serving.fetcher is not None:
            serving.fetcher.pool.close()
        if not taking.done():
            taking.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        return await taking
    return 0


async def _take_loaded(
    server: DrainingServer, serving: Serving, loading: Future[LoadedClassifier], settings: Settings
) -> int:
    """Wait for port and classifier, and be ready; on failure end the server. Return the exit status that follows."""
    await server.listening.wait()
    try:
        loaded = await asyncio.wrap_future(loading)
    except StartError as error:
        write_termination(error.failure, settings.termination_log)
        server.should_exit = True
        return 1
    except BaseException:
        server.should_exit = True
        raise
    release_free_memory()
    serving.finish_loading(loaded)
    _log.info(
        "serving",
        name=loaded.name,
        version=loaded.spec.model.version,
        sha256=loaded.sha256,
        provider=loaded.model.provider,
        resize=METHOD,
        load_seconds=round(loaded.load_seconds, 2),
    )
    return 0
