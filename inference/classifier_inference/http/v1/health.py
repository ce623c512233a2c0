"""GET /api/v1/health: what there is to tell of the machine, the model and the prediction log."""

import shutil
import time

import orjson
import psutil
from fastapi import APIRouter, Request
from starlette.responses import Response

from classifier_inference.engine.container import count_cpus, read_memory
from classifier_inference.http.exchange import find_exchange
from classifier_inference.http.lifecycle import Lifecycle
from classifier_inference.http.v1.schemas import (
    Cpu,
    GpuHealth,
    Health,
    LoadedModel,
    LogCount,
    LogHealth,
    OpenHealth,
    RecorderHealth,
    Usage,
)
from classifier_inference.images.resize import METHOD
from classifier_inference.log.logger import PredictionLogger
from classifier_inference.log.recorder.recorder_state import RecorderState, read_state
from classifier_inference.log.spool.spool import Spool
from classifier_inference.model.devices import CUDA_PROVIDER, list_gpus
from classifier_inference.model.loaded_classifier import LoadedClassifier
from classifier_inference.report.sink_state import SinkStates
from classifier_inference.spec.runtime import Runtime

HEALTH_PATH = "/api/v1/health"

_PROCESS = psutil.Process()


def make_router(
    lifecycle: Lifecycle, runtime: Runtime, log: PredictionLogger | None, *, asks_for_keys: bool
) -> APIRouter:
    """Return the route."""
    answers = Health | OpenHealth if asks_for_keys else Health
    router = APIRouter(tags=["v1"])
    spool = log.spool if log is not None else None

    @router.get(HEALTH_PATH, response_model=answers, responses={503: {"model": answers, "description": "Loading"}})
    def health(request: Request) -> Response:
        """Tell how the server is doing; 503 only while it can't answer predictions.

        Where API keys are asked for and none is brought, it tells its status and its stores' state alone.
        """
        full = find_exchange(request.scope).has_key
        told = _describe_health(lifecycle, runtime, spool) if full else _describe_open_health(lifecycle, spool)
        status = 200 if lifecycle.loaded else 503
        return Response(orjson.dumps(told.model_dump()), status, media_type="application/json")

    return router


def _describe_health(lifecycle: Lifecycle, runtime: Runtime, spool: Spool | None) -> Health:
    """Return how the server is doing now. Reads a few small files."""
    used, total = read_memory()
    disk = shutil.disk_usage("/")
    return Health(
        status=lifecycle.status,
        model=_describe_model(lifecycle.loaded) if lifecycle.loaded is not None else None,
        cpu=Cpu(count=count_cpus(), percent=_PROCESS.cpu_percent()),
        memory=Usage(used_bytes=used, total_bytes=total),
        disk=Usage(used_bytes=disk.used, total_bytes=disk.total),
        gpu=_describe_gpu(lifecycle.loaded, runtime),
        resize=METHOD,
        log=_describe_log(spool, time.time()) if spool is not None else None,
    )


def _describe_open_health(lifecycle: Lifecycle, spool: Spool | None) -> OpenHealth:
    """Return what may be known without an API key: what the operator's conditions are made of."""
    log = _describe_log(spool, time.time()) if spool is not None else None
    states = SinkStates(tracking=log.tracking, storage=log.storage) if log is not None else None
    return OpenHealth(status=lifecycle.status, log=states)


def _describe_model(loaded: LoadedClassifier) -> LoadedModel:
    return LoadedModel(
        name=loaded.name,
        version=loaded.spec.model.version,
        sha256=loaded.sha256,
        load_seconds=round(loaded.load_seconds, 3),
        provider=loaded.model.provider,
    )


def _describe_gpu(loaded: LoadedClassifier | None, runtime: Runtime) -> GpuHealth:
    names = list_gpus()
    if runtime.device == "cpu":
        return GpuHealth(used=False, names=names, reason="runtime.device is cpu")
    if loaded is None or loaded.model.provider != CUDA_PROVIDER:
        return GpuHealth(used=False, names=names, reason="the model is being loaded")
    return GpuHealth(used=True, names=names, reason=None)


def _describe_log(spool: Spool, now: float) -> LogHealth:
    """Return how a server's log is doing; `now` in seconds since 1970. Reads a small file."""
    dropped = spool.counts
    state = read_state(spool.folder)
    sinks = state or SinkStates()
    return LogHealth(
        tracking=sinks.tracking,
        storage=sinks.storage,
        records=LogCount(logged=spool.logged_records, dropped=dropped.records),
        images=LogCount(logged=spool.logged_images, dropped=dropped.images),
        spool_bytes=spool.used_bytes,
        spool_limit_bytes=spool.budget_bytes,
        recorder=_describe_recorder(state, now) if state is not None else None,
    )


def _describe_recorder(state: RecorderState, now: float) -> RecorderHealth:
    oldest = state.backlog.oldest
    return RecorderHealth(
        seconds_ago=round(now - state.time.timestamp(), 1),
        backlog_windows=state.backlog.windows,
        backlog_bytes=state.backlog.bytes,
        backlog_seconds=round(now - oldest.timestamp(), 1) if oldest is not None else None,
        shipped_windows=state.shipped.windows,
        shipped_records=state.shipped.records,
        shipped_images=state.shipped.images,
    )
