"""Models of many kinds are run as their spec says, or refused with what to write there."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto
from PIL import Image

from classifier_inference.images.sniff import EncodedImage, sniff
from classifier_inference.model.loaded_classifier import LoadedClassifier
from classifier_inference.report.termination import Reason
from tests.tiny_model import SIDE, encode
from tests.unit.inference.loading import change_model, load, refuse
from tests.varied_models import build_varied

PLAIN = {"resize": {"exact": [SIDE, SIDE]}, "interpolation": "nearest", "mean": [0, 0, 0], "std": [1, 1, 1]}
UNTOUCHED = {"resize": {"exact": [SIDE, SIDE]}, "interpolation": "nearest"}
LAST = {**UNTOUCHED, "layout": "NHWC"}
GREY = {**UNTOUCHED, "channels": "L", "mean": [0], "std": [1]}
ORANGE = (255, 51, 0)
LOGITS = [10.0, 2.0, 0.0]
"""What the models give for it."""


def answer(loaded: LoadedClassifier) -> list[float]:
    """Return the model's own outputs for an orange image."""
    outputs: list[float] = loaded.classify(sniff(encode(Image.new("RGB", (9, 7), ORANGE)))).outputs.tolist()
    return outputs


@pytest.mark.parametrize(
    ("options", "preprocess", "tolerance"),
    [
        ({}, PLAIN, 1e-5),
        ({"shape": ("n", SIDE, SIDE, 3), "axes": (1, 2)}, {**PLAIN, "layout": "NHWC"}, 1e-5),
        ({"dtype": TensorProto.UINT8}, UNTOUCHED, 1e-5),
        ({"dtype": TensorProto.UINT8, "shape": (1, SIDE, SIDE, 3), "axes": (1, 2)}, LAST, 1e-5),
        ({"shape": (1, 3, SIDE, SIDE)}, PLAIN, 1e-5),
        ({"shape": (4, 3, SIDE, SIDE)}, PLAIN, 1e-5),
        ({"shape": ("n", "c", "h", "w")}, PLAIN, 1e-5),
        ({"dtype": TensorProto.FLOAT16}, PLAIN, 1e-2),
        ({"dtype": TensorProto.DOUBLE}, PLAIN, 1e-6),
        ({"quantised": True}, PLAIN, 10 / 127),
        ({"trailing": 2}, PLAIN, 1e-5),
        ({"shape": (4, 3, SIDE, SIDE), "trailing": 2}, PLAIN, 1e-5),
        ({"shape": (1, 3, SIDE, SIDE), "axes": (0, 2, 3)}, PLAIN, 1e-5),
    ],
    ids=[
        "channels first", "channels last", "uint8", "uint8, channels last", "batch of 1", "batch of 4", "any size",
        "half", "double", "quantised", "[1, n, 1, 1]", "[4, n, 1, 1]", "[n]",
    ],
)  # fmt: skip
def test_a_model_of_this_kind_is_run(
    tmp_path: Path, options: dict[str, Any], preprocess: dict[str, Any], tolerance: float
) -> None:
    loaded = load(tmp_path, build_varied(**options), preprocess=preprocess)
    assert answer(loaded) == pytest.approx(LOGITS, abs=tolerance)


def test_a_grey_model_gets_one_channel(tmp_path: Path) -> None:
    model = change_model(tmp_path, labels={"inline": ["bright"]}, scores="asIs")
    content = build_varied(shape=("n", 1, SIDE, SIDE), factor=1)
    loaded = load(tmp_path, content, preprocess=GREY, model=model)
    grey = Image.new("RGB", (1, 1), ORANGE).convert("L").getpixel((0, 0))
    assert isinstance(grey, int)
    assert answer(loaded) == pytest.approx([grey / 255], abs=1e-5)


def test_an_input_that_the_scores_do_not_depend_on_is_fed_zeros(tmp_path: Path) -> None:
    model = change_model(tmp_path, input="pixels", output="scores")
    assert answer(load(tmp_path, build_varied(unused=True), model=model)) == pytest.approx(LOGITS, abs=1e-5)


def test_an_input_that_the_scores_depend_on_is_refused(tmp_path: Path) -> None:
    message = "scores depends on the input bias too, which no field gives a value"
    model = change_model(tmp_path, input="pixels")
    refuse(Reason.MODEL_INVALID, message, tmp_path, build_varied(used=True), model=model)


@pytest.mark.parametrize(
    ("options", "changes", "message"),
    [
        ({"axes": (2,)}, {}, r"the output is 1x3x8, not one number a class: name another in model.output"),
        ({"after": (("Sigmoid", {}),)}, {}, "are from 0 to 1 and don't sum to 1, .* model.scores: asIs"),
        ({"after": (("Softmax", {}),)}, {"scores": "softmax"}, "went through softmax already: model.scores: asIs"),
        ({}, {"scores": "asIs"}, "gives 0 to 5.*, no scores: model.scores: softmax, or sigmoid"),
        ({"shape": ("n", "c", "h", "w"), "axes": (1, 2)}, {"labels": {"inline": ["a"] * 8}}, None),
    ],
)
def test_what_would_be_misread_is_refused(
    tmp_path: Path, options: dict[str, Any], changes: dict[str, Any], message: str | None
) -> None:
    model = change_model(tmp_path, **changes)
    if message is None:  # a graph that says nothing of its sides is believed
        assert load(tmp_path, build_varied(**options), model=model).model.width == 8
        return
    refuse(Reason.MODEL_INVALID, message, tmp_path, build_varied(**options), model=model)


def test_a_model_with_one_output_needs_one_label_and_scores(tmp_path: Path) -> None:
    content = build_varied(shape=("n", 1, SIDE, SIDE))
    two = change_model(tmp_path, labels={"inline": ["no", "yes"]})
    message = "has 1 classes and there are 2 labels; a model that says yes or no has one label"
    refuse(Reason.LABELS_MISMATCH, message, tmp_path, content, preprocess=GREY, model=two)
    one = change_model(tmp_path, labels={"inline": ["yes"]})
    refuse(Reason.MODEL_INVALID, "model.scores: sigmoid, or asIs", tmp_path, content, preprocess=GREY, model=one)
    assert load(tmp_path, content, preprocess=GREY, model={**one, "scores": "sigmoid"}).model.width == 1


@pytest.mark.parametrize(
    ("after", "changes", "wanted"),
    [
        ((), {"scores": "sigmoid", "threshold": 0.5}, ["red", "green"]),
        ((), {"scores": "sigmoid", "threshold": 0.9}, ["red"]),
        ((), {"scores": "sigmoid", "threshold": 1}, []),
        ((), {"scores": "sigmoid"}, ["red"]),
        ((("Sigmoid", {}),), {"scores": "asIs", "threshold": 0.5}, ["red", "green"]),
        ((), {"scores": "softmax"}, ["red"]),
        ((("Softmax", {}),), {"scores": "asIs"}, ["red"]),
    ],
)
def test_every_label_over_the_threshold_is_answered_or_else_the_best(
    tmp_path: Path, after: Any, changes: dict[str, Any], wanted: list[str]
) -> None:
    loaded = load(tmp_path, build_varied(after=after), model=change_model(tmp_path, **changes), topK=1)
    found = loaded.classify(sniff(encode(Image.new("RGB", (8, 8), ORANGE))))
    assert [one.label for one in found.predictions] == wanted
    if after or changes["scores"] == "sigmoid":
        logits = np.array(LOGITS)
        each = np.exp(logits) / np.exp(logits).sum() if ("Softmax", {}) in after else 1 / (1 + np.exp(-logits))
        assert found.scores.tolist() == pytest.approx(each.tolist(), abs=1e-5)


@pytest.mark.parametrize(("label", "passes"), [("red", True), ("green", True), ("blue", False)])
def test_a_self_test_of_several_labels_asks_for_one_of_them(tmp_path: Path, label: str, passes: bool) -> None:
    (tmp_path / "orange.png").write_bytes(encode(Image.new("RGB", (8, 8), ORANGE)))
    changes: dict[str, Any] = {
        "model": change_model(tmp_path, scores="sigmoid", threshold=0.6),
        "selfTest": [{"image": {"uri": f"file:{tmp_path / 'orange.png'}"}, "label": label, "minScore": 0.7}],
    }
    if passes:
        assert load(tmp_path, build_varied(), **changes).name == "colours"
    else:
        message = "wanted blue of at least 0.7, got red, green; scores: red 1.000, green 0.881, blue 0.500"
        refuse(Reason.SELF_TEST_FAILED, message, tmp_path, build_varied(), **changes)


def test_a_self_test_that_nothing_is_over_the_threshold_for_says_so(tmp_path: Path) -> None:
    (tmp_path / "black.png").write_bytes(encode(Image.new("RGB", (8, 8))))
    test = {"image": {"uri": f"file:{tmp_path / 'black.png'}"}, "label": "red"}
    model = change_model(tmp_path, scores="sigmoid", threshold=0.6)
    message = "got nothing; scores: red 0.500, green 0.500"
    refuse(Reason.SELF_TEST_FAILED, message, tmp_path, build_varied(), model=model, selfTest=[test])


@pytest.mark.parametrize("scores", [{}, {"scores": "auto"}, {"scores": "softmax"}])
def test_a_threshold_needs_scores_of_several_labels(tmp_path: Path, scores: dict[str, Any]) -> None:
    model = change_model(tmp_path, threshold=0.5, **scores)
    refuse(Reason.SPEC_INVALID, "threshold needs scores: sigmoid, or asIs", tmp_path, model=model)


@pytest.mark.parametrize("formats", [["jpeg"], ["png"], ["webp"], ["gif"], ["bmp"], ["tiff"], ["tiff", "jpeg"]])
def test_an_encoded_image_is_classified_before_the_server_is_ready(
    tmp_path: Path, formats: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    classify = LoadedClassifier.classify

    def spy(loaded: LoadedClassifier, image: EncodedImage) -> Any:
        found = classify(loaded, image)
        seen.append(found.source.format)
        return found

    monkeypatch.setattr(LoadedClassifier, "classify", spy)
    load(tmp_path, limits={"formats": formats, "pixels": 1})
    assert seen == [formats[-1]]
