"""A model's outputs to scores from 0 to 1. No I/O."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from classifier_inference.model.binding import invalid
from classifier_inference.spec.labelled_model import ScoresKind

Function = Literal["sigmoid", "softmax", "none"]
"""What can be made of a model's outputs."""

_ROUNDING = 0.01
"""How far off half precision may leave a sum of probabilities, or put a score over 1."""


def decide_function(asked: ScoresKind, outputs: Sequence[NDArray[np.float64]]) -> Function:
    """Return what makes scores of outputs, told from those for some plain images.

    Raises StartError (ModelInvalid) where what is asked for can't be right, or `auto` would be a guess.
    """
    probabilities, in_range = all(map(are_probabilities, outputs)), all(map(are_scores, outputs))
    if asked == "sigmoid":
        return "sigmoid"
    if asked == "asIs":
        if not in_range:
            least, most = min(map(np.min, outputs)), max(map(np.max, outputs))
            raise invalid(f"the model gives {least:.3g} to {most:.3g}, no scores: model.scores: softmax, or sigmoid")
        return "none"
    if outputs[0].size == 1:
        raise invalid("the model has one output, so that softmax says nothing: model.scores: sigmoid, or asIs")
    if asked == "softmax":
        if probabilities:
            raise invalid("the model's outputs went through softmax already: model.scores: asIs")
        return "softmax"
    if in_range and not probabilities:
        raise invalid(
            "the model's outputs are from 0 to 1 and don't sum to 1, so say what they are: model.scores: asIs where "
            "each label has a score of its own, softmax or sigmoid where they are logits"
        )
    return "none" if probabilities else "softmax"


def apply_function(function: Function, outputs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what the function makes of outputs, row by row."""
    match function:
        case "sigmoid":
            return sigmoid(outputs)
        case "softmax":
            return softmax(outputs)
        case "none":
            return outputs


def require_scores(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return scores without what rounding put over 1. Raises FloatingPointError for what is no score."""
    if not are_scores(values):
        raise FloatingPointError("the model gave scores that are not from 0 to 1")
    return np.minimum(values, 1)


def are_scores(values: NDArray[np.float64]) -> bool:
    """Return whether the values are from 0 to 1, as far as half precision can tell."""
    return bool((values >= 0).all() and (values <= 1 + _ROUNDING).all())


def are_probabilities(outputs: NDArray[np.float64]) -> bool:
    """Return whether the outputs are from 0 to 1 and sum to 1, as far as half precision can tell."""
    return are_scores(outputs) and bool(abs(outputs.sum() - 1) < _ROUNDING)


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return e^x / sum(e^x) of each row, without overflow."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def sigmoid(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return 1 / (1 + e^-x), without overflow."""
    return np.asarray((1 + np.tanh(logits / 2)) / 2)
