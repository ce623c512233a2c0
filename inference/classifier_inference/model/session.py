"""ONNX Runtime sessions, on the device that was asked for and no other."""

import contextlib
import io
from collections.abc import Mapping
from typing import Any

from classifier_inference.model.binding import Signature, Tensor, invalid
from classifier_inference.model.devices import CPU_PROVIDER, CUDA_PROVIDER, explain_missing_cuda
from classifier_inference.model.quiet_onnxruntime import ERRORS, onnxruntime
from classifier_inference.report.start_error import StartError
from classifier_inference.report.termination import Reason


def make_session(content: bytes, external: Mapping[str, bytes], device: str, threads: int) -> Any:
    """Return a session of the ONNX file's content, and of that of the files that its graph names.

    Raises StartError: ModelInvalid for what doesn't load, DeviceUnavailable where CUDA was asked for and isn't there.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    providers = [CPU_PROVIDER]
    if device == "cuda":
        _require_cuda()
        providers = [CUDA_PROVIDER, CPU_PROVIDER]
    try:
        # From bytes, not from paths: what runs is what the digest was taken of.
        options.add_external_initializers_from_files_in_memory(
            list(external), list(external.values()), [len(data) for data in external.values()]
        )
        with contextlib.redirect_stdout(io.StringIO()):
            session = onnxruntime.InferenceSession(content, options, providers=providers, enable_fallback=False)
    except ERRORS as error:
        if device == "cuda" and "CUDA" in str(error):
            raise StartError(Reason.DEVICE_UNAVAILABLE, f"CUDA fails: {first_line(error)}") from None
        raise invalid(f"the model doesn't load: {first_line(error)}") from None
    # It would keep the file's bytes, to make the session anew with other providers: ours keeps the one that it has.
    session._model_bytes = None
    if device == "cuda" and session.get_providers()[0] != CUDA_PROVIDER:
        raise StartError(
            Reason.DEVICE_UNAVAILABLE,
            f"CUDA was asked for and {session.get_providers()[0]} would run the model: no usable GPU was found",
        )
    return session


def _require_cuda() -> None:
    # It prints what it can't load; the libraries are named in our own message.
    with contextlib.redirect_stdout(io.StringIO()):
        onnxruntime.preload_dlls()
    missing = explain_missing_cuda(onnxruntime.get_available_providers())
    if missing is not None:
        raise StartError(Reason.DEVICE_UNAVAILABLE, missing)


def read_signature(session: Any) -> Signature:
    """Return what the session's graph takes and gives."""
    inputs, outputs = (
        tuple(Tensor(str(node.name), str(node.type), tuple(node.shape)) for node in nodes)
        for nodes in (session.get_inputs(), session.get_outputs())
    )
    return Signature(inputs, outputs)


def first_line(error: BaseException) -> str:
    """Return what ONNX Runtime says is wrong, without what follows."""
    return str(error).strip().partition("\n")[0]
