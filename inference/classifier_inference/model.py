"""Pixels to scores: one ONNX Runtime session, on the device that was asked for and no other."""

import contextlib
import io
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from classifier_inference.devices import CPU_PROVIDER, CUDA_PROVIDER, explain_missing_cuda
from classifier_inference.runtime import ERRORS, onnxruntime
from classifier_inference.termination import Reason
from classifier_inference.termination_log import StartError

Function = Literal["sigmoid", "softmax", "none"]
"""What can be made of a model's outputs."""

_DTYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(double)": np.float64}


class Model:
    """A loaded model: takes a batch, gives one probability an image and class. Safe to call from many threads."""

    def __init__(
        self, content: bytes, external: Mapping[str, bytes], shape: tuple[int, ...], device: str, threads: int
    ) -> None:
        """Load the ONNX file's content and run it on inputs of `shape` to warm it up.

        `external` holds the content of every file that its graph names.

        Raises StartError: ModelInvalid for one that doesn't load, run or fit; DeviceUnavailable where CUDA was asked
        for and doesn't run it.
        """
        self._session = _make_session(content, external, device, threads)
        self.input_name, self._dtype = _check_inputs(self._session, shape)
        self._output = _name_output(self._session)
        outputs = [self._run_checked(values) for values in make_probes(shape)]
        self._are_probabilities = all(map(are_probabilities, outputs))
        self.width = outputs[0].size

    @property
    def provider(self) -> str:
        """The execution provider that runs the model, e.g. CPUExecutionProvider."""
        return str(self._session.get_providers()[0])

    def infer(self, values: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the model's outputs, images x classes. Raises FloatingPointError where they are no finite numbers."""
        outputs = np.stack([self._run(image[np.newaxis]) for image in values])
        if not np.isfinite(outputs).all():
            raise FloatingPointError("the model gave scores that are not finite numbers")
        return outputs

    def activate(self, outputs: NDArray[np.float64], function: Function | None = None) -> NDArray[np.float64]:
        """Return what a function makes of outputs, row by row; None is what was decided at loading.

        By default the scores are the outputs themselves where they are probabilities, else their softmax. Outputs that
        are probabilities are not put through softmax again.
        """
        if function == "sigmoid":
            return sigmoid(outputs)
        return outputs if function == "none" or self._are_probabilities else softmax(outputs)

    def _run(self, values: NDArray[np.float32]) -> NDArray[np.float64]:
        (outputs,) = self._session.run([self._output], {self.input_name: values.astype(self._dtype, copy=False)})
        return np.asarray(outputs, np.float64).reshape(-1)

    def _run_checked(self, values: NDArray[np.float32]) -> NDArray[np.float64]:
        try:
            outputs = self._run(values)
        except ERRORS as error:
            size = "x".join(map(str, values.shape))
            raise _invalid(f"the model doesn't run on an input of {size}: {_first_line(error)}") from None
        if outputs.size == 0 or not np.isfinite(outputs).all():
            raise _invalid("the model gives no numbers, or not finite ones, for a plain input")
        return outputs


def make_probes(shape: tuple[int, ...]) -> list[NDArray[np.float32]]:
    """Return three different inputs: a dark one, a grey one, and noise that is always the same."""
    noise = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    return [np.full(shape, -2, np.float32), np.zeros(shape, np.float32), noise]


def are_probabilities(outputs: NDArray[np.float64]) -> bool:
    """Return whether the outputs are from 0 to 1 and sum to 1, as far as half precision can tell."""
    return bool(((outputs >= 0) & (outputs <= 1)).all() and abs(outputs.sum() - 1) < 0.01)


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return e^x / sum(e^x) of each row, without overflow."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def sigmoid(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return 1 / (1 + e^-x), without overflow."""
    return np.asarray((1 + np.tanh(logits / 2)) / 2)


def _make_session(content: bytes, external: Mapping[str, bytes], device: str, threads: int) -> Any:
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
            raise StartError(Reason.DEVICE_UNAVAILABLE, f"CUDA fails: {_first_line(error)}") from None
        raise _invalid(f"the model doesn't load: {_first_line(error)}") from None
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


def _check_inputs(session: Any, shape: tuple[int, ...]) -> tuple[str, type]:
    """Return the one input's name and dtype; raise StartError where preprocessing doesn't make what it takes."""
    inputs = session.get_inputs()
    if len(inputs) != 1:
        raise _invalid(f"the model has {len(inputs)} inputs; one is needed")
    (wanted,) = inputs
    if wanted.type not in _DTYPES:
        raise _invalid(f"the model takes {wanted.type}; taken are {', '.join(_DTYPES)}")
    fixed = [(side, made) for side, made in zip(wanted.shape, shape, strict=False) if isinstance(side, int)]
    if len(wanted.shape) != len(shape) or any(side != made for side, made in fixed):
        takes, made = ("x".join(map(str, sides)) for sides in (wanted.shape, shape))
        raise _invalid(f"the model takes {takes}, and preprocess makes {made}")
    return str(wanted.name), _DTYPES[wanted.type]


def _name_output(session: Any) -> str:
    outputs = session.get_outputs()
    if len(outputs) != 1:
        raise _invalid(f"the model has {len(outputs)} outputs; one is needed")
    return str(outputs[0].name)


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0]


def _invalid(message: str) -> StartError:
    return StartError(Reason.MODEL_INVALID, message)
