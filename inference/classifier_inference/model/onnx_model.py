"""Pixels to scores: a graph that is bound to its spec, loaded, and has run."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifier_inference.images.preprocess import arrange_batch, normalise
from classifier_inference.images.resize import Pixels
from classifier_inference.model.binding import bind, invalid, read_row
from classifier_inference.model.quiet_onnxruntime import ERRORS
from classifier_inference.model.scores import (
    Function,
    apply_function,
    are_probabilities,
    decide_function,
    require_scores,
)
from classifier_inference.model.session import first_line, make_session, read_signature
from classifier_inference.report.start_error import StartError
from classifier_inference.report.termination import Reason
from classifier_inference.spec.classifier import ClassifierSpec
from classifier_inference.spec.preprocessing import CHANNEL_COUNTS, Preprocess

Values = NDArray[np.float32] | NDArray[np.uint8]
"""A batch in the model's layout: normalised, or pixels as they are."""


class Model:
    """A loaded model: takes a batch, gives one score an image and class. Safe to call from many threads."""

    def __init__(
        self, content: bytes, external: Mapping[str, bytes], spec: ClassifierSpec, classes: int, threads: int
    ) -> None:
        """Load the ONNX file's content, bind it to the spec and run it on plain images.

        `external` holds the content of every file that its graph names; `classes` is how many labels there are.

        Raises StartError: ModelInvalid for one that doesn't load, run or fit; LabelsMismatch for another width;
        DeviceUnavailable where CUDA was asked for and doesn't run it.
        """
        self._session = make_session(content, external, spec.runtime.device, threads)
        self.binding = bind(read_signature(self._session), spec.model, spec.preprocess)
        self._preprocess = spec.preprocess
        self._feeds = {name: zeros for name, (zeros, _) in self.binding.idle.items()}
        probes = [self.prepare(pixels) for pixels in make_probes(spec.preprocess)]
        outputs = [self._run_checked(probe, self._feeds) for probe in probes]
        self.width = outputs[0].size
        _require_width(self.width, classes)
        self._require_idle(probes[-1], outputs[-1])
        self._function = decide_function(spec.model.scores, outputs)
        self._are_probabilities = all(map(are_probabilities, outputs))

    @property
    def provider(self) -> str:
        """The execution provider that runs the model, e.g. CPUExecutionProvider."""
        return str(self._session.get_providers()[0])

    def prepare(self, pixels: Pixels) -> Values:
        """Return a batch of one for `infer`, from height x width x channels."""
        make: Callable[[Pixels, Preprocess], Values] = arrange_batch if self.binding.takes_pixels else normalise
        return make(pixels, self._preprocess)

    def infer(self, values: Values) -> NDArray[np.float64]:
        """Return the model's outputs, images x classes. Raises FloatingPointError where they are no finite numbers."""
        outputs = np.stack([self._run(image[np.newaxis], self._feeds) for image in values])
        if not np.isfinite(outputs).all():
            raise FloatingPointError("the model gave scores that are not finite numbers")
        return outputs

    def activate(self, outputs: NDArray[np.float64], function: Function | None = None) -> NDArray[np.float64]:
        """Return what a function makes of outputs, row by row; None is what model.scores says, and gives 0 to 1.

        Outputs that are probabilities are not put through softmax again. Raises FloatingPointError where the outputs
        were to be scores and aren't.
        """
        if function is None:
            return require_scores(apply_function(self._function, outputs))
        return apply_function("none" if function == "softmax" and self._are_probabilities else function, outputs)

    def _run(self, values: Values, feeds: Mapping[str, NDArray[Any]]) -> NDArray[np.float64]:
        binding = self.binding
        # A graph that takes several images at once gets the same one several times: what stands beside an image must
        # make no difference to its scores.
        batch = values if binding.batch == 1 else np.repeat(values, binding.batch, axis=0)
        given = {binding.input: batch.astype(binding.dtype, copy=False), **feeds}
        (outputs,) = self._session.run([binding.output], given)
        return read_row(outputs, binding.batch)

    def _run_checked(self, values: Values, feeds: Mapping[str, NDArray[Any]]) -> NDArray[np.float64]:
        size = "x".join(map(str, values.shape))
        try:
            outputs = self._run(values, feeds)
        except ERRORS as error:
            raise self._explain_failure(size, error) from None
        if outputs.size == 0 or not np.isfinite(outputs).all():
            raise invalid("the model gives no numbers, or not finite ones, for a plain image")
        return outputs

    def _explain_failure(self, size: str, error: Exception) -> StartError:
        layout = self._preprocess.layout
        return invalid(
            f"the model doesn't run on an input of {size} (preprocess.layout: {layout}): {first_line(error)}"
        )

    def _require_idle(self, probe: Values, outputs: NDArray[np.float64]) -> None:
        """Raise StartError where the output depends on an input other than the image's: nothing says what that is."""
        for name, (_, ones) in self.binding.idle.items():
            if not np.array_equal(self._run_checked(probe, {**self._feeds, name: ones}), outputs):
                raise invalid(
                    f"the output {self.binding.output} depends on the input {name} too, which no field gives a value: "
                    "export the model without it, or name another output in model.output"
                )


def make_probes(preprocess: Preprocess) -> Iterator[Pixels]:
    """Yield three different images as uint8 pixels: a black one, a grey one, and noise that is always the same."""
    shape = (*preprocess.output_size, CHANNEL_COUNTS[preprocess.channels])
    yield np.zeros(shape, np.uint8)
    yield np.full(shape, 128, np.uint8)
    yield np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def _require_width(width: int, classes: int) -> None:
    if width != classes:
        message = f"the model has {width} classes and there are {classes} labels"
        if width == 1:
            message += "; a model that says yes or no has one label, and model.scores: sigmoid, or asIs"
        raise StartError(Reason.LABELS_MISMATCH, message)
