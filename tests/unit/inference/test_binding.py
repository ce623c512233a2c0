"""What a graph takes and gives is recognised, or refused with the field that mends it."""

from typing import Any

import numpy as np
import pytest

from classifier_inference.model.binding import Binding, Side, Signature, Tensor, bind, read_row
from classifier_inference.report.start_error import StartError
from classifier_inference.report.termination import Reason
from classifier_inference.spec.labelled_model import Model
from classifier_inference.spec.preprocessing import Preprocess

PIXELS = Tensor("pixels", "tensor(float)", ("batch", 3, 224, 224))
SCORES = Tensor("scores", "tensor(float)", ("batch", 1000))
LABELS: dict[str, Any] = {"uri": "file:model.onnx", "labels": {"inline": ["cat"]}}


def bind_to(
    preprocess: dict[str, Any] | None = None,
    *,
    inputs: tuple[Tensor, ...] = (PIXELS,),
    outputs: tuple[Tensor, ...] = (SCORES,),
    **model: Any,
) -> Binding:
    spec = Model.model_validate({**LABELS, **model})
    return bind(Signature(inputs, outputs), spec, Preprocess.model_validate(preprocess or {}))


def takes(*shape: Side, kind: str = "tensor(float)") -> tuple[Tensor, ...]:
    return (Tensor("pixels", kind, shape),)


@pytest.mark.parametrize(
    ("shape", "preprocess", "batch"),
    [
        (("batch", 3, 224, 224), {}, 1),
        (("batch", 3, "height", "width"), {}, 1),
        ((None, None, None, None), {}, 1),
        ((), {}, 1),
        ((1, 3, 224, 224), {}, 1),
        ((8, 3, 224, 224), {}, 8),
        ((-1, 3, 224, 224), {}, 1),
        (("batch", 1, 224, 224), {"channels": "L"}, 1),
        (("batch", 224, 224, 3), {"layout": "NHWC"}, 1),
        (("batch", 28, 28, 1), {"layout": "NHWC", "channels": "L", "resize": {"exact": [28, 28]}}, 1),
        (("batch", 3, 192, 256), {"resize": {"pad": [192, 256]}}, 1),
    ],
)
def test_an_input_that_preprocess_makes_is_taken(
    shape: tuple[Side, ...], preprocess: dict[str, Any], batch: int
) -> None:
    assert bind_to(preprocess, inputs=takes(*shape)).batch == batch


@pytest.mark.parametrize(
    ("shape", "preprocess", "message"),
    [
        (("n", 224, 224, 3), {}, "takes nx224x224x3, channels last: preprocess.layout: NHWC"),
        ((1, 28, 28, 1), {}, "channels last: preprocess.layout: NHWC"),
        (("n", 3, 224, 224), {"layout": "NHWC"}, "channels first: preprocess.layout: NCHW"),
        (("n", 1, 224, 224), {}, r"1 channel\(s\), and preprocess makes 3: preprocess.channels: L"),
        (("n", 3, 224, 224), {"channels": "L"}, "makes 1: preprocess.channels: RGB, or BGR"),
        (("n", 4, 224, 224), {}, "export it with 1 channel or 3"),
        (("n", 3, 240, 240), {}, "and preprocess makes 224x224 pixels: preprocess.crop: 240$"),
        (("n", 3, 299, 299), {}, "preprocess.crop: 299, and preprocess.resize.shorterSide: 299 or more"),
        (("n", 3, 192, 256), {}, r"preprocess.resize: \{exact: \[192, 256\]\}, or pad, without preprocess.crop"),
        (("n", 3, 32, 32), {"resize": {"exact": [64, 64]}}, r"preprocess.resize.exact: \[32, 32\]$"),
        (
            ("n", 3, 32, 48),
            {"resize": {"pad": [64, 64]}, "crop": 32},
            r"resize.pad: \[32, 48\], without preprocess.crop",
        ),
        (("n", 3, "h", 256), {}, r"exact: \[224, 256\]"),
        (("n", 784), {}, "takes nx784, 2 dimensions: export it to take a batch of images"),
    ],
)
def test_another_shape_is_refused_with_the_field_that_mends_it(
    shape: tuple[Side, ...], preprocess: dict[str, Any], message: str
) -> None:
    with pytest.raises(StartError, match=message) as caught:
        bind_to(preprocess, inputs=takes(*shape))
    assert caught.value.failure.reason is Reason.MODEL_INVALID


@pytest.mark.parametrize("kind", ["float", "float16", "double", "uint8"])
def test_inputs_of_these_types_are_taken(kind: str) -> None:
    binding = bind_to(inputs=takes("n", 3, 224, 224, kind=f"tensor({kind})"))
    assert np.dtype(binding.dtype) == np.dtype({"float": "f4", "float16": "f2", "double": "f8", "uint8": "u1"}[kind])
    assert binding.takes_pixels is (kind == "uint8")


def test_an_input_of_another_type_is_refused() -> None:
    with pytest.raises(StartError, match=r"pixels takes tensor\(int8\); export it to take one of tensor\(float\), "):
        bind_to(inputs=takes("n", 3, 224, 224, kind="tensor(int8)"))


@pytest.mark.parametrize("written", [{"scale": 255}, {"mean": [0.5, 0.5, 0.5]}, {"std": [2, 2, 2]}, {"scale": 127.5}])
def test_normalising_what_the_model_normalises_itself_is_refused(written: dict[str, Any]) -> None:
    with pytest.raises(StartError, match=r"leave preprocess.scale, mean and std out, or export it to take float"):
        bind_to(written, inputs=takes("n", 3, 224, 224, kind="tensor(uint8)"))


def test_normalising_that_changes_nothing_is_taken() -> None:
    plain = {"scale": 1, "mean": [0, 0, 0], "std": [1, 1, 1]}
    assert bind_to(plain, inputs=takes("n", 3, 224, 224, kind="tensor(uint8)")).takes_pixels


def test_one_of_several_inputs_and_outputs_is_named() -> None:
    token, embedding = Tensor("tokens", "tensor(int64)", ("n", 77)), Tensor("embedding", "tensor(float)", ("n", 8))
    binding = bind_to(inputs=(token, PIXELS), outputs=(embedding, SCORES), input="pixels", output="scores")
    assert (binding.input, binding.output) == ("pixels", "scores")
    zeros, ones = binding.idle["tokens"]
    assert (zeros.shape, zeros.dtype.name) == ((1, 77), "int64")
    assert not zeros.any()
    assert ones.all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"inputs": (PIXELS, SCORES)}, "has 2 inputs: name one of pixels, scores in model.input"),
        ({"outputs": (SCORES, PIXELS)}, "has 2 outputs: name one of scores, pixels in model.output"),
        ({"input": "image"}, "has no input image, which model.input names; there is pixels"),
        ({"output": "probabilities"}, "has no output probabilities, which model.output names; there is scores"),
        (
            {"outputs": (Tensor("label", "tensor(int64)", ("n",)), SCORES), "output": "label"},
            r"the output label gives tensor\(int64\), no scores: model.output: scores",
        ),
        ({"outputs": (Tensor("zip", "seq(map(int64,tensor(float)))", ()),)}, "no scores: export it to give one of"),
        ({"inputs": (PIXELS, Tensor("name", "tensor(string)", (1,))), "input": "pixels"}, "second input, name of"),
    ],
)
def test_what_can_not_be_told_is_refused_with_the_names_that_there_are(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(StartError, match=message):
        bind_to(**changes)


@pytest.mark.parametrize(
    ("shape", "batch"), [((1, 4), 1), ((4,), 1), ((1, 4, 1, 1), 1), ((1, 1, 4), 1), ((2, 4), 2), ((2, 4, 1, 1), 2)]
)
def test_outputs_of_these_shapes_hold_one_score_a_class(shape: tuple[int, ...], batch: int) -> None:
    outputs = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    assert read_row(outputs, batch).tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("shape", "batch"), [((1, 4, 7, 7), 1), ((2, 4), 1), ((1, 4), 2), ((4,), 2), ((2, 4, 7, 1), 2)]
)
def test_outputs_of_other_shapes_are_refused(shape: tuple[int, ...], batch: int) -> None:
    text = "x".join(map(str, shape))
    with pytest.raises(StartError, match=f"the output is {text}, not one number a class: .* model.output"):
        read_row(np.zeros(shape), batch)
