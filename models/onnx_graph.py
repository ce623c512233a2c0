"""Lays out convolutional networks as ONNX graphs, from weights by PyTorch's names; batch norms are folded in."""

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from models.torch_checkpoint import Array

IMAGE_SIZE = 224
CLASSES = 1000
BATCH_NORM_EPSILON = 1e-3
"""Of both families: TensorFlow's default, which torchvision's MobileNetV3 has taken over."""
OPSET = 17
IR_VERSION = 8


class Graph:
    """Collects nodes and constants. A tensor is known by its name."""

    def __init__(self, weights: dict[str, Array]) -> None:
        self.weights = weights
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def node(self, operator: str, inputs: list[str], output: str, **attributes: Any) -> str:
        """Append a node that is called like its output; return that."""
        self.nodes.append(helper.make_node(operator, inputs, [output], name=output, **attributes))
        return output

    def constant(self, name: str, value: Array | None = None) -> str:
        """Append a float32 constant, by default the weight of that name; return its name."""
        array = self.weights[name] if value is None else value
        self.constants.append(numpy_helper.from_array(array.astype(np.float32), name))
        return name

    def convolution(
        self, x: str, name: str, *, norm: str, stride: int, padding: tuple[int, int], depthwise: bool = False
    ) -> str:
        """Append a convolution without a bias, with the batch normalisation that follows it folded in.

        `padding` is what is added before and after the rows, and the columns likewise.
        """
        kernel, bias = fold(self.weights[f"{name}.weight"], *self._norm(norm))
        side, (before, after) = kernel.shape[-1], padding
        return self.node(
            "Conv",
            [x, self.constant(f"{name}.weight", kernel), self.constant(f"{name}.bias", bias)],
            name,
            kernel_shape=[side, side],
            strides=[stride, stride],
            pads=[before, before, after, after],
            group=len(kernel) if depthwise else 1,
        )

    def dense(self, x: str, name: str, output: str) -> str:
        """Append a fully connected layer."""
        return self.node("Gemm", [x, self.constant(f"{name}.weight"), self.constant(f"{name}.bias")], output, transB=1)

    def model(self, name: str) -> onnx.ModelProto:
        """Return the model, checked: `image` [N, 3, 224, 224] float32 -> `logits` [N, 1000] float32."""
        image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 3, IMAGE_SIZE, IMAGE_SIZE])
        logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", CLASSES])
        graph = helper.make_graph(self.nodes, name, [image], [logits], self.constants)
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="imageclassifier",
        )
        onnx.checker.check_model(model, full_check=True)
        return model

    def _norm(self, name: str) -> tuple[Array, Array, Array, Array]:
        scale, shift, mean, variance = (
            self.weights[f"{name}.{part}"] for part in ("weight", "bias", "running_mean", "running_var")
        )
        return scale, shift, mean, variance


def fold(kernel: Array, scale: Array, shift: Array, mean: Array, variance: Array) -> tuple[Array, Array]:
    """Return (kernel, bias) of the one convolution that does what kernel and batch normalisation do in turn.

    In float64: elementwise operations and roots are exact to the last bit there, so every machine agrees on the result.
    """
    factor = scale.astype(np.float64) / np.sqrt(variance.astype(np.float64) + BATCH_NORM_EPSILON)
    return kernel * factor.reshape(-1, 1, 1, 1), shift - mean * factor
