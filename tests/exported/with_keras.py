"""Export small networks from Keras, with its own scores for the photograph.

    python -m tests.exported.with_keras FOLDER

needs keras, tensorflow-cpu, tf2onnx, numpy and Pillow, and nothing of this project.
"""

import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow
import tf2onnx
from keras import layers

from tests.exported.photograph import CLASSES, SIDE, note, read_photograph

MADE_WITH = f"keras {keras.__version__}, tensorflow {tensorflow.__version__}, tf2onnx {tf2onnx.__version__}"


def make_network(activation: str, dtype: str = "float32") -> Any:
    """Return a network of what Keras's applications are made of, with weights that are always the same."""
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((SIDE, SIDE, 3), dtype=dtype, name="image"),
            layers.Rescaling(1 / 127.5, offset=-1),
            layers.Conv2D(16, 3, strides=2, padding="same", use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(6.0),
            layers.DepthwiseConv2D(3, padding="same"),
            layers.Activation("swish"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(CLASSES, activation=activation, kernel_initializer=keras.initializers.RandomNormal(stddev=8)),
        ]
    )


def export(folder: Path) -> None:
    """Write every model and what Keras says of the photograph."""
    plain = {"layout": "NHWC", "scale": 1, "mean": [0, 0, 0], "std": [1, 1, 1]}
    pixels = read_photograph()[np.newaxis]
    cases: list[tuple[str, str, str, dict[str, Any], dict[str, Any]]] = [
        ("keras", "softmax", "float32", {}, plain),
        ("keras-uint8", "softmax", "uint8", {}, {"layout": "NHWC"}),
        ("keras-labels", "sigmoid", "float32", {"scores": "asIs", "threshold": 0.5}, plain),
    ]
    for name, activation, dtype, model, preprocess in cases:
        network = make_network(activation, dtype)
        scores = network(pixels.astype(dtype)).numpy()
        network.export(str(folder / f"{name}.onnx"), format="onnx", verbose=False)
        note(folder, name, scores, model, preprocess, MADE_WITH)


if __name__ == "__main__":
    export(Path(sys.argv[1]))
