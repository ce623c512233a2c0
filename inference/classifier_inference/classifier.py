"""A classifier that is loaded, checked and ready to answer: labels, model and preprocessing as one."""

import hashlib
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from classifier_inference.decode import ImageError
from classifier_inference.digest import check_digest, combine_digests, list_model_files
from classifier_inference.labels import read_labels
from classifier_inference.model import Model
from classifier_inference.prediction import Prediction
from classifier_inference.preprocess import Hold, Source, decode_image, fit_pixels, normalise, uncounted
from classifier_inference.sources import Files
from classifier_inference.spec import CHANNEL_COUNTS, Classifier, ClassifierSpec, Preprocess, SelfTest
from classifier_inference.termination import Reason
from classifier_inference.termination_log import StartError


@dataclass(frozen=True)
class Answer:
    """The best classes, best first, of what, and the seconds it took."""

    predictions: list[Prediction]
    source: Source
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
        return self.model.input_name

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one image in the model's input, without the batch's side."""
        return input_shape(self.spec.preprocess)[1:]

    def classify(self, content: bytes, hold: Hold = uncounted) -> Answer:
        """Return the topK classes of an encoded image; `hold` is told of its memory. Raises what decode_image does."""
        started = time.perf_counter()
        pixels, source = decode_image(content, self.spec.preprocess, self.spec.limits, hold)
        return self._answer(pixels, source, started)

    def classify_pixels(self, pixels: NDArray[np.uint8], hold: Hold = uncounted) -> Answer:
        """Return the topK classes of an image's pixels, height x width x RGB. Raises what fit_pixels does."""
        started = time.perf_counter()
        height, width, _ = pixels.shape
        fitted = fit_pixels(pixels, self.spec.preprocess, self.spec.limits, hold)
        return self._answer(fitted, Source("pixels", (width, height)), started)

    def classify_tensor(self, values: NDArray[np.float32]) -> list[Answer]:
        """Return the topK classes of each of n images, n x input_shape, as preprocessing would have made them."""
        started = time.perf_counter()
        outputs = self.model.infer(values)
        scores = self.model.activate(outputs)
        each = (time.perf_counter() - started) / len(values)
        height, width = self.spec.preprocess.output_size
        source = Source("tensor", (width, height))
        return [
            Answer(self._name_best(row), source, 0, each, given, row)
            for given, row in zip(outputs, scores, strict=True)
        ]

    def _answer(self, pixels: NDArray[np.uint8], source: Source, started: float) -> Answer:
        values = normalise(pixels, self.spec.preprocess)
        decoded = time.perf_counter()
        (outputs,) = self.model.infer(values)
        scores = self.model.activate(outputs)
        inferred = time.perf_counter()
        return Answer(self._name_best(scores), source, decoded - started, inferred - decoded, outputs, scores)

    def _name_best(self, scores: NDArray[np.float64]) -> list[Prediction]:
        best = find_best(scores, self.spec.top_k)
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
    model = Model(content, external, input_shape(spec.preprocess), spec.runtime.device, threads)
    if model.width != len(labels):
        raise StartError(
            Reason.LABELS_MISMATCH, f"the model has {model.width} classes and there are {len(labels)} labels"
        )
    loaded = LoadedClassifier(
        name=classifier.name,
        spec=spec,
        model=model,
        labels=labels,
        sha256=sha256,
        load_seconds=time.perf_counter() - started,
    )
    for number, (test, path) in enumerate(zip(spec.self_test, files.self_tests, strict=True)):
        run_self_test(loaded, number, test, path)
    return loaded


def _digest(content: bytes, external: dict[str, bytes]) -> str:
    """Return the digest of what will run: taken of the bytes, which the files may not hold any more."""
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in external.items()}
    return combine_digests(hashlib.sha256(content).hexdigest(), digests)


def input_shape(preprocess: Preprocess) -> tuple[int, ...]:
    """Return the shape of a batch of one, in the model's layout."""
    height, width = preprocess.output_size
    channels = CHANNEL_COUNTS[preprocess.channels]
    return (1, channels, height, width) if preprocess.layout == "NCHW" else (1, height, width, channels)


def run_self_test(loaded: LoadedClassifier, number: int, test: SelfTest, path: Path) -> None:
    """Raise StartError unless the classifier says the wanted label for the image, as surely as asked."""
    if test.label not in loaded.labels:
        raise _failed(number, f"no label is called {test.label!r}")
    try:
        answer = loaded.classify(path.read_bytes())
    except ImageError as error:
        raise _failed(number, f"its image can't be classified: {error}") from None
    best = answer.predictions[0]
    if best.label != test.label or best.confidence < test.min_score:
        scores = ", ".join(f"{found.label} {found.confidence:.3f}" for found in answer.predictions)
        raise _failed(number, f"wanted {test.label} of at least {test.min_score:g}, got {best.label}; scores: {scores}")


def _failed(number: int, message: str) -> StartError:
    return StartError(Reason.SELF_TEST_FAILED, f"selfTest[{number}]: {message}")
