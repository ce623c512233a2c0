"""Loading: what is checked before a classifier answers."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto

from classifier_inference.images.sniff import sniff
from classifier_inference.model.quiet_onnxruntime import onnxruntime
from classifier_inference.model.scores import are_probabilities, softmax
from classifier_inference.report.termination import Reason
from tests.tiny_model import COLOUR_CODES, COLOURS, build_model, make_image
from tests.unit.inference.loading import change_model, load, refuse


@pytest.mark.parametrize("colour", COLOURS)
def test_the_colour_is_found(tmp_path: Path, colour: str) -> None:
    best = load(tmp_path).classify(sniff(make_image(COLOUR_CODES[colour]))).predictions[0]
    assert (best.label, best.class_id) == (colour, COLOURS.index(colour))


@pytest.mark.parametrize(
    "content",
    [
        build_model(),
        build_model(softmax=True),
        build_model(side="side"),
        build_model(dtype=TensorProto.FLOAT16),
        build_model(dtype=TensorProto.FLOAT16, softmax=True),
        build_model(dtype=TensorProto.DOUBLE),
    ],
    ids=["logits", "probabilities", "any size", "half", "half probabilities", "double"],
)
def test_confidences_are_the_softmax_of_logits_and_probabilities_as_they_are(tmp_path: Path, content: bytes) -> None:
    predictions = load(tmp_path, content).classify(sniff(make_image("red"))).predictions
    wanted = softmax(np.array([10.0, 0.0, 0.0]))
    assert [found.confidence for found in predictions] == pytest.approx(wanted.tolist(), abs=1e-3)


def test_a_model_of_another_layout_is_given_it(tmp_path: Path) -> None:
    preprocess = {"resize": {"exact": [8, 8]}, "layout": "NHWC", "mean": [0, 0, 0], "std": [1, 1, 1]}
    loaded = load(tmp_path, build_model(layout="NHWC"), preprocess=preprocess)
    assert loaded.classify(sniff(make_image("blue"))).predictions[0].label == "blue"


def test_the_answer_has_top_k_classes_and_ties_in_their_order(tmp_path: Path) -> None:
    assert [found.label for found in load(tmp_path).classify(sniff(make_image("black"))).predictions] == COLOURS
    assert len(load(tmp_path, topK=2).classify(sniff(make_image("black"))).predictions) == 2


def test_a_digest_that_fits_is_taken_and_another_is_refused(tmp_path: Path) -> None:
    sha256 = hashlib.sha256(build_model()).hexdigest()
    assert load(tmp_path, model=change_model(tmp_path, sha256=sha256)).sha256 == sha256
    message = f"is {sha256}, and the object says 0000"
    refuse(Reason.DIGEST_MISMATCH, message, tmp_path, model=change_model(tmp_path, sha256="0" * 64))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "doesn't load"),
        (b"hello", "doesn't load"),
        (build_model()[:-40], "doesn't load"),
        (build_model(dtype=TensorProto.INT32), r"takes tensor\(int32\)"),
        (build_model(factor=float("inf")), "not finite"),
    ],
)
def test_a_model_that_can_not_be_served_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    refuse(Reason.MODEL_INVALID, message, tmp_path, content)


def test_labels_must_fit_the_models_width(tmp_path: Path) -> None:
    labels = {"inline": ["red", "green"]}
    message = "the model has 3 classes and there are 2 labels"
    refuse(Reason.LABELS_MISMATCH, message, tmp_path, model=change_model(tmp_path, labels=labels))


def test_labels_are_read_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("a\nb\nc\n")
    loaded = load(tmp_path, model=change_model(tmp_path, labels={"uri": f"file:{tmp_path / 'labels.txt'}"}))
    assert loaded.labels == ("a", "b", "c")


def test_labels_of_a_config_map_need_a_cluster(tmp_path: Path) -> None:
    labels = {"configMap": {"name": "labels", "key": "labels.txt"}}
    model = change_model(tmp_path, labels=labels)
    refuse(Reason.LABELS_NOT_FOUND, "in a cluster only", tmp_path, model=model)


@pytest.mark.parametrize(
    ("test", "message"),
    [
        ({"label": "blue"}, r"selfTest\[0\]: wanted blue of at least 0, got red; scores: red 1.000, green 0.000"),
        ({"label": "red", "minScore": 1}, "wanted red of at least 1, got red; scores: red 1.000"),
        ({"label": "red", "image": "text"}, "its image can't be classified"),
    ],
)
def test_a_self_test_that_fails_says_what_was_wanted_and_what_came(
    tmp_path: Path, test: dict[str, Any], message: str
) -> None:
    (tmp_path / "red").write_bytes(make_image("red"))
    (tmp_path / "text").write_text("hello")
    image = {"uri": f"file:{tmp_path / test.get('image', 'red')}"}
    refuse(Reason.SELF_TEST_FAILED, message, tmp_path, selfTest=[{**test, "image": image}])


def test_a_self_test_that_passes_lets_the_classifier_load(tmp_path: Path) -> None:
    (tmp_path / "red").write_bytes(make_image("red"))
    test = {"label": "red", "minScore": 0.9, "image": {"uri": f"file:{tmp_path / 'red'}"}}
    assert load(tmp_path, selfTest=[test]).name == "colours"


def test_a_self_test_image_that_is_not_there_is_named(tmp_path: Path) -> None:
    test = {"label": "red", "image": {"uri": "file:absent.jpg"}}
    refuse(Reason.SELF_TEST_IMAGE_NOT_FOUND, "there is no file absent.jpg", tmp_path, selfTest=[test])


def test_a_build_without_cuda_refuses_instead_of_running_on_the_cpu(tmp_path: Path) -> None:
    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this build of ONNX Runtime has CUDA")
    message = "this image has no CUDA provider: use the gpu image"
    refuse(Reason.DEVICE_UNAVAILABLE, message, tmp_path, runtime={"device": "cuda"})


@pytest.mark.parametrize(
    ("outputs", "wanted"),
    [([0.2, 0.8], True), ([1.0, 0.0], True), ([0.2, 0.7], False), ([1.5, -0.5], False), ([3.0, 4.0], False)],
)
def test_probabilities_are_from_0_to_1_and_sum_to_1(outputs: list[float], wanted: bool) -> None:
    assert are_probabilities(np.array(outputs)) is wanted


def test_softmax_does_not_overflow() -> None:
    assert softmax(np.array([1e4, 0.0])).tolist() == [1, 0]
