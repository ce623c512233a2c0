"""Models and images small enough to be made in a test: the class is the colour that an image has most of."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.external_data_helper import set_external_data
from PIL import Image

COLOURS = ["red", "green", "blue"]
COLOUR_CODES = {"red": "#ff0000", "green": "#00ff00", "blue": "#0000ff"}
SIDE = 8
TO_STORED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""How a camera that notes an orientation has stored what was upright."""


def build_model(
    *,
    side: int | str = SIDE,
    softmax: bool = False,
    layout: str = "NCHW",
    dtype: int = TensorProto.FLOAT,
    outputs: int = 1,
    factor: float = 10,
    fails_on_white: bool = False,
) -> bytes:
    """An ONNX model from pixels to `factor` times the mean of each channel.

    With `fails_on_white`, means over 1 give no number: have it see pixels over 1.
    """
    axes = [2, 3] if layout == "NCHW" else [1, 2]
    shape = ["batch", 3, side, side] if layout == "NCHW" else ["batch", side, side, 3]
    numpy_type = helper.tensor_dtype_to_np_dtype(dtype)
    nodes = [
        helper.make_node("ReduceMean", ["pixels", "axes"], ["means"], keepdims=0),
        helper.make_node("Mul", ["means", "factor"], ["scaled"]),
        helper.make_node("Softmax" if softmax else "Identity", ["scaled"], ["scores"]),
    ]
    if fails_on_white:
        nodes[2:] = [
            helper.make_node("Sub", ["factor", "scaled"], ["rest"]),
            helper.make_node("Sqrt", ["rest"], ["scores"]),
        ]
    results = ["scores", "means"][:outputs]
    graph = helper.make_graph(
        nodes,
        "colours",
        [helper.make_tensor_value_info("pixels", dtype, shape)],
        [helper.make_tensor_value_info(name, dtype, ["batch", 3]) for name in results],
        [
            numpy_helper.from_array(np.array(axes, np.int64), "axes"),
            numpy_helper.from_array(np.array(factor, numpy_type), "factor"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(model)
    content: bytes = model.SerializeToString()
    return content


def build_external_model(location: str = "weights.bin", **options: Any) -> tuple[bytes, bytes]:
    """The same model with `factor` in a file of its own: the ONNX file, and what belongs into the file `location`."""
    model = onnx.load_from_string(build_model(**options))
    (factor,) = (tensor for tensor in model.graph.initializer if tensor.name == "factor")
    weights = bytes(factor.raw_data)
    set_external_data(factor, location, offset=0, length=len(weights))
    factor.ClearField("raw_data")
    return model.SerializeToString(), weights


def build_document(folder: Path, **changes: Any) -> dict[str, Any]:
    """An ImageClassifier whose model is `folder`/model.onnx; `changes` are fields of its spec."""
    spec: dict[str, Any] = {
        "model": {"uri": f"file:{folder / 'model.onnx'}", "labels": {"inline": COLOURS}},
        "preprocess": {
            "resize": {"exact": [SIDE, SIDE]},
            "interpolation": "nearest",
            "mean": [0, 0, 0],
            "std": [1, 1, 1],
        },
        **changes,
    }
    return {
        "apiVersion": "imageclassifier.dev/v1alpha1",
        "kind": "ImageClassifier",
        "metadata": {"name": "colours"},
        "spec": spec,
    }


def write_document(folder: Path, model_file: bytes | None = None, **changes: Any) -> Path:
    """Write model and document into the folder; return the document's path."""
    (folder / "model.onnx").write_bytes(build_model() if model_file is None else model_file)
    path = folder / "classifier.json"
    path.write_text(json.dumps(build_document(folder, **changes)))
    return path


def encode(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    """The image's bytes in a format."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def make_image(colour: str = "red", size: tuple[int, int] = (16, 16), kind: str = "PNG") -> bytes:
    """An image of one colour, encoded."""
    return encode(Image.new("RGB", size, colour), kind)


def make_noise(size: tuple[int, int], mode: str = "RGB") -> Image.Image:
    """An image of noise that is always the same."""
    channels = len(Image.new(mode, (1, 1)).getbands())
    values = np.random.default_rng(1).integers(0, 256, (size[1], size[0], channels), np.uint8)
    return Image.merge(mode, [Image.fromarray(values[:, :, band]) for band in range(channels)])
