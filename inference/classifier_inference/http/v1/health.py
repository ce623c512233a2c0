"""What health tells of the machine, the model and the prediction log."""

import shutil
import time
from typing import Literal

import psutil

from classifier_inference.engine.container import count_cpus, read_memory
from classifier_inference.http.serving import Serving
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
from classifier_inference.log.recorder.recorder_state import RecorderState, read_state
from classifier_inference.log.spool.spool import Spool
from classifier_inference.model.devices import CUDA_PROVIDER, list_gpus
from classifier_inference.report.sink_state import SinkStates

_PROCESS = psutil.Process()


def describe_health(serving: Serving) -> Health:
    """Return how the server is doing now. Reads a few small files."""
    used, total = read_memory()
    disk = shutil.disk_usage("/")
    return Health(
        status=_describe_status(serving),
        model=_describe_model(serving),
        cpu=Cpu(count=count_cpus(), percent=_PROCESS.cpu_percent()),
        memory=Usage(used_bytes=used, total_bytes=total),
        disk=Usage(used_bytes=disk.used, total_bytes=disk.total),
        gpu=_describe_gpu(serving),
        resize=METHOD,
        log=describe_log(serving.log.spool, time.time()) if serving.log is not None else None,
    )


def describe_open_health(serving: Serving) -> OpenHealth:
    """Return what may be known without an API key: what the operator's conditions are made of."""
    log = describe_log(serving.log.spool, time.time()) if serving.log is not None else None
    states = SinkStates(tracking=log.tracking, storage=log.storage) if log is not None else None
    return OpenHealth(status=_describe_status(serving), log=states)


def _describe_status(serving: Serving) -> Literal["serving", "draining", "loading"]:
    return "loading" if serving.loaded is None else "draining" if serving.draining else "serving"


def _describe_model(serving: Serving) -> LoadedModel | None:
    loaded = serving.loaded
    if loaded is None:
        return None
    return LoadedModel(
        name=loaded.name,
        version=loaded.spec.model.version,
        sha256=loaded.sha256,
        load_seconds=round(loaded.load_seconds, 3),
        provider=loaded.model.provider,
    )


def _describe_gpu(serving: Serving) -> GpuHealth:
    names = list_gpus()
    if serving.classifier.spec.runtime.device == "cpu":
        return GpuHealth(used=False, names=names, reason="runtime.device is cpu")
    if serving.loaded is None or serving.loaded.model.provider != CUDA_PROVIDER:
        return GpuHealth(used=False, names=names, reason="the model is being loaded")
    return GpuHealth(used=True, names=names, reason=None)


def describe_log(spool: Spool, now: float) -> LogHealth:
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
