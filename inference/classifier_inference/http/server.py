"""Runs the application: the port opens at once, the model loads beside it, SIGTERM drains."""

import asyncio
import contextlib
import os
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
import uvicorn
from uuid_utils import uuid7

from classifier_inference.engine.container import count_cpus
from classifier_inference.engine.malloc import release_free_memory
from classifier_inference.engine.memory import Memory, measure_limit
from classifier_inference.engine.pool import Pool, count_workers
from classifier_inference.engine.quick_start import finish_start
from classifier_inference.http.admission import Admission
from classifier_inference.http.answering import Answering
from classifier_inference.http.api_keys import open_api_keys
from classifier_inference.http.draining import DrainingServer
from classifier_inference.http.finding import Fetcher, Finder
from classifier_inference.http.lifecycle import Lifecycle
from classifier_inference.http.middleware import FrontDesk
from classifier_inference.http.protocol import make_protocol
from classifier_inference.http.settings import Settings
from classifier_inference.http.wiring import tell_loaded, watch, wire_app
from classifier_inference.images.resize import METHOD
from classifier_inference.log.open_log import open_log
from classifier_inference.model.loaded_classifier import LoadedClassifier
from classifier_inference.report.start_error import StartError
from classifier_inference.report.termination_log import write_termination
from classifier_inference.spec.classifier import Classifier
from classifier_inference.stores.named_images import RemoteImages
from classifier_inference.telemetry.metrics import Metrics
from classifier_inference.telemetry.origin import Origin
from classifier_inference.telemetry.span_export import open_spans

if TYPE_CHECKING:
    from classifier_inference.http.request_spans import RequestSpans

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


def run_server(classifier: Classifier, loading: Future[LoadedClassifier], settings: Settings) -> int:
    """Serve until a signal comes; return the process's exit status.

    A StartError from `loading` is written to the termination log and ends the server with status 1.
    """
    limits = classifier.spec.limits
    origin = Origin(classifier.name, settings.namespace, settings.pod)
    try:
        keys = open_api_keys(classifier.spec.auth, settings.api_keys)
        fetcher = _make_fetcher(classifier, settings.ca_file)
        log = open_log(classifier, settings.spool, settings.pod, settings.namespace)
    except StartError as error:
        write_termination(error.failure, settings.termination_log)
        return 1
    spans = _open_spans(origin)
    answering = Answering(
        lifecycle=Lifecycle(keys),
        admission=Admission(Pool(count_workers(count_cpus()), limits.queue), Memory(measure_limit(limits.memory))),
        finder=Finder(settings.image_root, fetcher, limits.bytes),
        log=log,
        metrics=Metrics(),
        new_request_id=_make_id,
    )
    watch(answering)
    desk = FrontDesk(answering.lifecycle, answering.metrics, _make_id, spans, limits.body_timeout)
    config = uvicorn.Config(
        wire_app(classifier, settings, answering, desk, keys),
        host=settings.host,
        port=settings.port,
        loop="asyncio",
        http=make_protocol(limits.body_timeout, _make_id),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=FINISH_SECONDS,
    )
    server = DrainingServer(config, answering.lifecycle, settings.drain_seconds)
    finish_start()
    try:
        return asyncio.run(_serve(server, answering, loading, settings.termination_log))
    finally:
        closing = spans.spans.begin_closing() if spans is not None else None
        if log is not None and not log.spool.close(SPOOL_SECONDS):
            _log.warning("the spool is left as it is: its disk is too slow", folder=str(log.spool.folder))
        if closing is not None:
            closing.join(SPANS_SECONDS)


def _make_id() -> str:
    return str(uuid7())


def _open_spans(origin: Origin) -> "RequestSpans | None":
    spans = open_spans(os.environ, origin)
    if spans is None:
        return None
    from classifier_inference.http.request_spans import RequestSpans

    return RequestSpans(spans)


def _make_fetcher(classifier: Classifier, ca_file: Path | None) -> Fetcher | None:
    """Return what brings images from the addresses that are allowed, if any is. Raises StartError."""
    images, limits = classifier.spec.images, classifier.spec.limits
    if not images.allow:
        return None
    return Fetcher(RemoteImages(images, limits.bytes, ca_file, os.environ), Pool(FETCH_THREADS, limits.queue))


async def _serve(
    server: DrainingServer, answering: Answering, loading: Future[LoadedClassifier], termination_log: Path
) -> int:
    taking = asyncio.create_task(_take_loaded(server, answering, loading, termination_log))
    try:
        await server.serve()
    except SystemExit:  # Uvicorn's word for a port that can't be opened; it has said why
        return 1
    finally:
        answering.admission.pool.close()
        answering.finder.close()
        if not taking.done():
            taking.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        return await taking
    return 0


async def _take_loaded(
    server: DrainingServer, answering: Answering, loading: Future[LoadedClassifier], termination_log: Path
) -> int:
    """Wait for port and classifier, and be ready; on failure end the server. Return the exit status that follows."""
    await server.listening.wait()
    try:
        loaded = await asyncio.wrap_future(loading)
    except StartError as error:
        write_termination(error.failure, termination_log)
        server.should_exit = True
        return 1
    except BaseException:
        server.should_exit = True
        raise
    release_free_memory()
    # Requests have the memory that is left by now.
    answering.admission.memory.limit = measure_limit(loaded.spec.limits.memory)
    answering.lifecycle.loaded = loaded
    tell_loaded(answering.metrics, loaded)
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
