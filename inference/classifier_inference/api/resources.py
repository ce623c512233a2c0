"""What health tells of the machine and the model."""

import shutil

import psutil

from classifier_inference.api.schemas import Cpu, GpuHealth, Health, LoadedModel, Usage
from classifier_inference.container import count_cpus, read_memory
from classifier_inference.devices import CUDA_PROVIDER, list_gpus
from classifier_inference.serving import Serving

_PROCESS = psutil.Process()


def describe_health(serving: Serving) -> Health:
    """Return how the server is doing now. Reads a few small files."""
    loaded = serving.loaded
    status = "loading" if loaded is None else "draining" if serving.draining else "serving"
    used, total = read_memory()
    disk = shutil.disk_usage("/")
    return Health(
        status=status,
        model=_describe_model(serving),
        cpu=Cpu(count=count_cpus(), percent=_PROCESS.cpu_percent()),
        memory=Usage(used_bytes=used, total_bytes=total),
        disk=Usage(used_bytes=disk.used, total_bytes=disk.total),
        gpu=_describe_gpu(serving),
    )


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
