"""Whether CUDA can run here, and the name of what is missing if not."""

import ctypes
from collections.abc import Callable
from pathlib import Path

from classifier_inference.model.quiet_onnxruntime import onnxruntime

CUDA_PROVIDER = "CUDAExecutionProvider"
CPU_PROVIDER = "CPUExecutionProvider"


def explain_missing_cuda(
    providers: list[str],
    load_library: Callable[[str], object] = ctypes.CDLL,
    libraries: Path = Path(onnxruntime.__file__).parent / "capi",
) -> str | None:
    """Return what keeps CUDA from running, naming the library the loader can't find; None if nothing is seen missing.

    `providers` are those this build of ONNX Runtime was made with. The libraries stay loaded.
    """
    if CUDA_PROVIDER not in providers:
        return "this image has no CUDA provider: use the gpu image"
    try:
        load_library("libcuda.so.1")
    except OSError as error:
        return f"no NVIDIA driver: {error}"
    for library in ("libonnxruntime_providers_shared.so", "libonnxruntime_providers_cuda.so"):
        try:
            load_library(str(libraries / library))
        except OSError as error:
            return f"CUDA can't be loaded: {error}"
    return None


def list_gpus(driver: Path = Path("/proc/driver/nvidia/gpus")) -> list[str]:
    """Return the names of the GPUs that NVIDIA's driver shows, e.g. NVIDIA H100 80GB HBM3."""
    names = []
    for information in sorted(driver.glob("*/information")):
        for line in information.read_text().splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "Model":
                names.append(value.strip())
    return names
