"""A classifier that is loaded, checked and ready to answer: labels, model and preprocessing as one."""

import hashlib
import io
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from classifier_inference.files.digest import check_digest, combine_digests, list_model_files
from classifier_inference.files.labels import read_labels
from classifier_inference.files.sources import Files
from classifier_inference.images.decode import ImageError
from classifier_inference.images.preprocess import Hold, Source, decode_image, fit_pixels, uncounted
from classifier_inference.images.sniff import EncodedImage, sniff
from classifier_inference.model.onnx_model import Model, Values
from classifier_inference.model.prediction import Prediction
from classifier_inference.report.start_error import StartError
from classifier_inference.report.termination import Reason
from classifier_inference.spec.classifier import Classifier, ClassifierSpec
from classifier_inference.spec.preprocessing import CHANNEL_COUNTS
from classifier_inference.spec.self_test import SelfTest


@dataclass(frozen=True)
class Answer:
    """The best classes, best first, of what, and the seconds it took; none may be over model.threshold."""

    predictions: list[Prediction]
    source: Source
    started: float
    """When decoding began, by time.perf_counter; inference followed it."""
    decode_seconds: float
    infer_seconds: float
    outputs: NDArray[np.float64]
    """What the model itself gave, one number a class."""
    scores: NDArray[np.float64]
    """What was made of it: one a class, from 0 to 1."""


@dataclass(frozen=True)
class LoadedClassifier:
    """Classifies images; safe to call from many threads."""

    name: str
    spec: ClassifierSpec
    model: Model
    labels: tuple[str, ...]
    sha256: str
    load_seconds: float

    @property
    def input_name(self) -> str:
        """What the model itself calls its input."""
        return self.model.binding.input

    @property
    def input_datatype(self) -> Literal["FP32", "UINT8"]:
        """What the values are that `classify_tensor` takes, by the Open Inference Protocol's names."""
        return "UINT8" if self.model.binding.takes_pixels else "FP32"

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one image in the model's input, without the batch's side."""
        preprocess = self.spec.preprocess
        channels = CHANNEL_COUNTS[preprocess.channels]
        height, width = preprocess.output_size
        return (channels, height, width) if preprocess.layout == "NCHW" else (height, width, channels)

    def classify(self, image: EncodedImage, hold: Hold = uncounted) -> Answer:
        """Return the topK classes of an encoded image; `hold` is told of its memory. Raises what decode_image does."""
        started = time.perf_counter()
        pixels, source = decode_image(image, self.spec.preprocess, self.spec.limits, hold)
        return self._answer(pixels, source, started)

    def classify_pixels(self, pixels: NDArray[np.uint8], hold: Hold = uncounted) -> Answer:
        """Return the topK classes of an image's pixels, height x width x RGB. Raises what fit_pixels does."""
        started = time.perf_counter()
        height, width, _ = pixels.shape
        fitted = fit_pixels(pixels, self.spec.preprocess, self.spec.limits, hold)
        return self._answer(fitted, Source("pixels", (width, height)), started)

    def classify_tensor(self, values: Values) -> list[Answer]:
        """Return the topK classes of each of n images, n x input_shape, as preprocessing would have made them."""
        started = time.perf_counter()
        outputs = self.model.infer(values)
        scores = self.model.activate(outputs)
        each = (time.perf_counter() - started) / len(values)
        height, width = self.spec.preprocess.output_size
        source = Source("tensor", (width, height))
        return [
            Answer(self._name_best(row), source, started + index * each, 0, each, given, row)
            for index, (given, row) in enumerate(zip(outputs, scores, strict=True))
        ]

    def _answer(self, pixels: NDArray[np.uint8], source: Source, started: float) -> Answer:
        values = self.model.prepare(pixels)
        decoded = time.perf_counter()
        (outputs,) = self.model.infer(values)
        scores = self.model.activate(outputs)
        inferred = time.perf_counter()
        best = self._name_best(scores)
        return Answer(best, source, started, decoded - started, inferred - decoded, outputs, scores)

    def _name_best(self, scores: NDArray[np.float64]) -> list[Prediction]:
        threshold = self.spec.model.threshold
        count = self.spec.top_k if threshold is None else int(np.count_nonzero(scores > threshold))
        best = find_best(scores, count)
        return [Prediction(self.labels[index], int(index), float(scores[index])) for index in best]


def find_best(scores: NDArray[np.float64], count: int) -> NDArray[np.intp]:
    """Return the classes of the highest scores, best first; equal scores come in the order of their classes."""
    candidates = np.arange(scores.size)
    if count < scores.size:
        least = np.partition(scores, -count)[-count]
        candidates = np.flatnonzero(scores >= least)
    return candidates[np.argsort(-scores[candidates], kind="stable")[:count]]


def load_classifier(classifier: Classifier, files: Files, threads: int) -> LoadedClassifier:
    """Load, check and warm up a classifier. Raises StartError that says what doesn't fit."""
    started = time.perf_counter()
    spec = classifier.spec
    labels = read_labels(spec, files.labels)
    content = files.model.read_bytes()
    external = {name: path.read_bytes() for name, path in list_model_files(content, files.external).items()}
    sha256 = _digest(content, external)
    check_digest(sha256, spec.model.sha256)
    model = Model(content, external, spec, len(labels), threads)
    loaded = LoadedClassifier(
        name=classifier.name,
        spec=spec,
        model=model,
        labels=labels,
        sha256=sha256,
        load_seconds=time.perf_counter() - started,
    )
    warm_up(loaded)
    for number, (test, path) in enumerate(zip(spec.self_test, files.self_tests, strict=True)):
        run_self_test(loaded, number, test, path)
    return loaded


def _digest(content: bytes, external: dict[str, bytes]) -> str:
    """Return the digest of what will run: taken of the bytes, which the files may not hold any more."""
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in external.items()}
    return combine_digests(hashlib.sha256(content).hexdigest(), digests)


def warm_up(loaded: LoadedClassifier) -> None:
    """Have an encoded image classified, so that the first request finds everything in place. Raises StartError."""
    limits = loaded.spec.limits
    kind = "jpeg" if "jpeg" in limits.formats else limits.formats[0]
    size = (320, 240) if limits.pixels >= 320 * 240 else (1, 1)
    buffer = io.BytesIO()
    Image.effect_noise(size, 64).convert("RGB").save(buffer, kind)
    try:
        loaded.classify(sniff(buffer.getvalue()))
    except FloatingPointError as error:
        raise StartError(Reason.MODEL_INVALID, f"for an image of noise {error}") from None


def run_self_test(loaded: LoadedClassifier, number: int, test: SelfTest, path: Path) -> None:
    """Raise StartError unless the classifier says the wanted label for the image, as surely as asked."""
    if test.label not in loaded.labels:
        raise _failed(number, f"no label is called {test.label!r}")
    try:
        answer = loaded.classify(sniff(path.read_bytes()))
    except (ImageError, FloatingPointError) as error:
        raise _failed(number, f"its image can't be classified: {error}") from None
    # Where several labels may hold at once, any of them may be tested.
    said = answer.predictions if loaded.spec.model.threshold is not None else answer.predictions[:1]
    if not any(found.label == test.label and found.confidence >= test.min_score for found in said):
        got = ", ".join(found.label for found in said) or "nothing"
        given = find_best(answer.scores, max(loaded.spec.top_k, len(said)))
        scores = ", ".join(f"{loaded.labels[index]} {answer.scores[index]:.3f}" for index in given)
        raise _failed(number, f"wanted {test.label} of at least {test.min_score:g}, got {got}; scores: {scores}")


def _failed(number: int, message: str) -> StartError:
    return StartError(Reason.SELF_TEST_FAILED, f"selfTest[{number}]: {message}")
