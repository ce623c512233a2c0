"""Quantise the network that PyTorch exported, with plain ONNX Runtime's own scores for the photograph.

    python -m tests.exported.with_quantisation FOLDER

needs onnx, onnxruntime, numpy and Pillow, and nothing of this project.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from tests.exported.photograph import FOLDER, normalise_photograph, note

MADE_WITH = f"onnxruntime {onnxruntime.__version__}"


class Photograph(CalibrationDataReader):  # type: ignore[misc]
    """The photograph, and its mirror image, to find the ranges by."""

    def __init__(self) -> None:
        """Begin with the photograph."""
        values = normalise_photograph()
        self._left: Iterator[NDArray[np.float32]] = iter([values, np.ascontiguousarray(values[..., ::-1])])

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        """Return what the network is given next; None at the end."""
        values = next(self._left, None)
        return None if values is None else {"pixels": values}


def export(folder: Path) -> None:
    """Write the model, and what ONNX Runtime says of the photograph."""
    file = folder / "qdq.onnx"
    quantize_static(
        FOLDER / "torchscript.onnx",
        file,
        Photograph(),
        quant_format=QuantFormat.QDQ,
        activation_type=QuantType.QInt8,
        weight_type=QuantType.QInt8,
        per_channel=True,
        # Weights of 7 bits: with 8, sums overflow on processors without VNNI, and scores depend on where they are made.
        reduce_range=True,
    )
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    (logits,) = session.run(None, {"pixels": normalise_photograph()})
    scores = np.exp(logits - logits.max())
    note(folder, "qdq", scores / scores.sum(), {}, {}, MADE_WITH)


if __name__ == "__main__":
    export(Path(sys.argv[1]))
