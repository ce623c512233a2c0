"""Bind: what a graph takes and gives, and what the spec says of it, to how it is run. No I/O.

Every refusal says what the graph wants and which field of the spec says it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifier_inference.report.start_error import StartError
from classifier_inference.report.termination import Reason
from classifier_inference.spec.labelled_model import Model as ModelSpec
from classifier_inference.spec.preprocessing import CHANNEL_COUNTS, Preprocess

DTYPES: Mapping[str, type[np.number[Any]]] = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(uint8)": np.uint8,
}
"""What an image may be given as, by ONNX Runtime's names."""
_SCORES = ("tensor(float)", "tensor(float16)", "tensor(double)")
_IDLE = {
    **DTYPES,
    "tensor(bool)": np.bool_,
    "tensor(int8)": np.int8,
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
}
"""What an input may hold that the scores don't depend on."""

Side = int | str | None
"""A dimension's length, or what the graph calls it where it may be any."""


@dataclass(frozen=True)
class Tensor:
    """One of a graph's inputs or outputs."""

    name: str
    type: str
    """As ONNX Runtime writes it, e.g. tensor(float)."""
    shape: tuple[Side, ...]
    """Empty where the graph doesn't say."""


@dataclass(frozen=True)
class Signature:
    """What a graph takes and gives."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]


@dataclass(frozen=True)
class Binding:
    """How a graph is run on one image."""

    input: str
    dtype: type[np.number[Any]]
    batch: int
    """How many images one run takes: 1, unless the graph fixes another number."""
    output: str
    idle: Mapping[str, tuple[NDArray[Any], NDArray[Any]]]
    """The graph's other inputs: zeros, and ones to see by that the output doesn't depend on them."""

    @property
    def takes_pixels(self) -> bool:
        """Whether the graph is given pixels as they are, and normalises them itself."""
        return self.dtype is np.uint8


def bind(signature: Signature, model: ModelSpec, preprocess: Preprocess) -> Binding:
    """Return how the graph is run. Raises StartError (ModelInvalid) that names what to change."""
    image = _choose(signature.inputs, "input", model.input)
    output = _choose(signature.outputs, "output", model.output)
    if image.type not in DTYPES:
        raise invalid(f"the input {image.name} takes {image.type}; export it to take one of {', '.join(DTYPES)}")
    if output.type not in _SCORES:
        others = ", ".join(other.name for other in signature.outputs if other.type in _SCORES)
        mend = f"model.output: {others}" if others else f"export it to give one of {', '.join(_SCORES)}"
        raise invalid(f"the output {output.name} gives {output.type}, no scores: {mend}")
    if DTYPES[image.type] is np.uint8 and _changes_values(preprocess):
        raise invalid(
            "the model takes uint8 and gets pixels as they are: leave preprocess.scale, mean and std out, or export it "
            "to take float"
        )
    _require_shape(image.shape, preprocess)
    batch = (_fixed(image.shape[0]) if image.shape else 0) or 1
    idle = {other.name: _make_idle(other) for other in signature.inputs if other is not image}
    return Binding(image.name, DTYPES[image.type], batch, output.name, idle)


def read_row(outputs: NDArray[np.generic], batch: int) -> NDArray[np.float64]:
    """Return the first image's scores, one dimension, from what a batch gave: [n], [batch, n] or [batch, n, 1, 1].

    Raises StartError (ModelInvalid) where it isn't one number a class.
    """
    shape = outputs.shape
    classes = shape if batch == 1 else shape[1:]
    if (batch > 1 and shape[:1] != (batch,)) or sum(side > 1 for side in classes) > 1:
        raise invalid(f"the output is {_times(shape)}, not one number a class: name another in model.output")
    return np.asarray(outputs.reshape(batch, -1)[0], np.float64)


def invalid(message: str) -> StartError:
    """Return the refusal of a model that can't be served as the spec has it."""
    return StartError(Reason.MODEL_INVALID, message)


def _choose(tensors: tuple[Tensor, ...], kind: str, name: str | None) -> Tensor:
    there = ", ".join(tensor.name for tensor in tensors)
    if name is None:
        if len(tensors) != 1:
            raise invalid(f"the model has {len(tensors)} {kind}s: name one of {there} in model.{kind}")
        return tensors[0]
    for tensor in tensors:
        if tensor.name == name:
            return tensor
    raise invalid(f"the model has no {kind} {name}, which model.{kind} names; there is {there}")


def _changes_values(preprocess: Preprocess) -> bool:
    """Return whether scale, mean and std, where they are written, change a pixel's value."""
    written = preprocess.model_fields_set
    return (
        ("scale" in written and preprocess.scale != 1)
        or ("mean" in written and any(preprocess.mean or ()))
        or ("std" in written and any(value != 1 for value in preprocess.std or ()))
    )


def _make_idle(tensor: Tensor) -> tuple[NDArray[Any], NDArray[Any]]:
    if tensor.type not in _IDLE:
        raise invalid(f"the model has a second input, {tensor.name} of {tensor.type}: export it with the image's alone")
    shape = [_fixed(side) or 1 for side in tensor.shape]
    return np.zeros(shape, _IDLE[tensor.type]), np.ones(shape, _IDLE[tensor.type])


def _require_shape(takes: tuple[Side, ...], preprocess: Preprocess) -> None:
    """Raise StartError where preprocessing doesn't make what the graph takes, with the field that would."""
    if not takes:
        return
    if len(takes) != 4:
        raise invalid(
            f"the model takes {_times(takes)}, {len(takes)} dimensions: export it to take a batch of images, "
            "batch x channels x height x width or batch x height x width x channels"
        )
    here = _split(takes, preprocess.layout)
    other = "NHWC" if preprocess.layout == "NCHW" else "NCHW"
    there = _split(takes, other)
    if here[0] not in {0, 1, 3} and there[0] in {1, 3}:
        order = "last" if other == "NHWC" else "first"
        raise invalid(f"the model takes {_times(takes)}, channels {order}: preprocess.layout: {other}")
    _require_channels(here[0], takes, preprocess)
    _require_size(here[1:], takes, preprocess)


def _require_channels(channels: int, takes: tuple[Side, ...], preprocess: Preprocess) -> None:
    made = CHANNEL_COUNTS[preprocess.channels]
    if channels not in {0, made}:
        fields = {1: "preprocess.channels: L", 3: "preprocess.channels: RGB, or BGR"}
        mend = fields.get(channels, "export it with 1 channel or 3")
        raise invalid(f"the model takes {_times(takes)}, {channels} channel(s), and preprocess makes {made}: {mend}")


def _require_size(wanted: tuple[int, int], takes: tuple[Side, ...], preprocess: Preprocess) -> None:
    made = preprocess.output_size
    height, width = (side or size for side, size in zip(wanted, made, strict=True))
    if (height, width) == made:
        return
    if preprocess.resize.shorter_side is None:
        kind = "exact" if preprocess.resize.exact is not None else "pad"
        mend = f"preprocess.resize.{kind}: [{height}, {width}]"
        if preprocess.crop is not None:
            mend += ", without preprocess.crop"
    elif height != width:
        mend = f"preprocess.resize: {{exact: [{height}, {width}]}}, or pad, without preprocess.crop"
    else:
        mend = f"preprocess.crop: {height}"
        if height > preprocess.resize.shorter_side:
            mend += f", and preprocess.resize.shorterSide: {height} or more"
    raise invalid(f"the model takes {_times(takes)}, and preprocess makes {made[0]}x{made[1]} pixels: {mend}")


def _split(shape: tuple[Side, ...], layout: str) -> tuple[int, int, int]:
    """Return channels, height and width; 0 for what may be any."""
    sides = [_fixed(side) for side in shape[1:]]
    channels, height, width = sides if layout == "NCHW" else (sides[2], sides[0], sides[1])
    return channels, height, width


def _fixed(side: Side) -> int:
    """Return a dimension's length, 0 where it may be any."""
    return side if isinstance(side, int) and side > 0 else 0


def _times(sides: tuple[Side, ...]) -> str:
    return "x".join("?" if side is None else str(side) for side in sides)
