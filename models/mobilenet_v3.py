"""Builds MobileNetV3-Large and -Small for ImageNet as ONNX files, from torchvision's published weights.

    python -m models.mobilenet_v3 large                            # downloads the weights
    python -m models.mobilenet_v3 large --checkpoint FILE.pth      # takes them from a file
    python -m models.mobilenet_v3 small --seed 0                   # weights that know nothing, to measure with

Inverted residual blocks with squeeze-and-excitation, ReLU or hard swish. Batch normalisation is folded into the
convolutions. The same weights always give the same bytes.
"""

import argparse
import hashlib
import sys
import tempfile
import urllib.request
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx

from models.mobilenet_v3_layout import ARCHITECTURES, STEM_CHANNELS, Architecture, Block, list_shapes
from models.onnx_graph import Graph
from models.torch_checkpoint import Array, read_checkpoint

DOWNLOAD_SECONDS = 60

HERE = Path(__file__).resolve().parent
BUILD = HERE / "build"


class WeightsError(Exception):
    """The weights can't be had; the message says why, and what to do."""


def build_model(architecture: Architecture, weights: dict[str, Array]) -> onnx.ModelProto:
    """Return the model: `image` [N, 3, 224, 224] float32, normalised RGB -> `logits` [N, 1000] float32.

    `weights` are by torchvision's names. Raises KeyError for one that is missing.
    """
    graph = _MobileGraph(weights)
    x = graph.filter("image", "features.0", stride=2, activate=graph.hard_swish)
    channels = STEM_CHANNELS
    for index, block in enumerate(architecture.blocks, start=1):
        x = graph.block(x, f"features.{index}.block", block, channels)
        channels = block.channels
    x = graph.filter(x, f"features.{len(architecture.blocks) + 1}", activate=graph.hard_swish)
    x = graph.node("GlobalAveragePool", [x], "pooled")
    x = graph.node("Flatten", [x], "flat")
    x = graph.hard_swish(graph.dense(x, "classifier.0", "classifier.0"))
    graph.dense(x, "classifier.3", "logits")
    return graph.model(architecture.name)


class _MobileGraph(Graph):
    """Knows this network's blocks; a weight's name says where torchvision has it."""

    def block(self, x: str, prefix: str, block: Block, channels: int) -> str:
        """Append an inverted residual block on `channels` channels, with its skip connection where shapes allow it."""
        activate = self.hard_swish if block.hard_swish else self.relu
        y, part = x, 0
        if block.expanded != channels:
            y = self.filter(y, f"{prefix}.0", activate=activate)
            part = 1
        y = self.filter(y, f"{prefix}.{part}", stride=block.stride, depthwise=True, activate=activate)
        if block.excites:
            part += 1
            y = self.excite(y, f"{prefix}.{part}")
        y = self.filter(y, f"{prefix}.{part + 1}")
        residual = block.stride == 1 and block.channels == channels
        return self.node("Add", [y, x], f"{prefix}.sum") if residual else y

    def filter(
        self,
        x: str,
        prefix: str,
        *,
        stride: int = 1,
        depthwise: bool = False,
        activate: Callable[[str], str] | None = None,
    ) -> str:
        """Append convolution `prefix`.0 with batch normalisation `prefix`.1, and an activation."""
        name = f"{prefix}.0"
        around = self.weights[f"{name}.weight"].shape[-1] // 2
        y = self.convolution(x, name, norm=f"{prefix}.1", stride=stride, padding=(around, around), depthwise=depthwise)
        return activate(y) if activate is not None else y

    def excite(self, x: str, prefix: str) -> str:
        """Append squeeze-and-excitation: each channel times a weight from 0 to 1, by the means of all channels."""
        y = self.node("GlobalAveragePool", [x], f"{prefix}.means")
        y = self.relu(self.pointwise(y, f"{prefix}.fc1"))
        y = self.pointwise(y, f"{prefix}.fc2")
        y = self.node("HardSigmoid", [y], f"{prefix}.weights", alpha=1 / 6, beta=0.5)
        return self.node("Mul", [x, y], f"{prefix}.product")

    def pointwise(self, x: str, name: str) -> str:
        """Append a convolution of one pixel with a bias."""
        return self.node(
            "Conv", [x, self.constant(f"{name}.weight"), self.constant(f"{name}.bias")], name, kernel_shape=[1, 1]
        )

    def relu(self, x: str) -> str:
        """Append ReLU."""
        return self.node("Relu", [x], f"{x}.relu")

    def hard_swish(self, x: str) -> str:
        """Append x * relu6(x + 3) / 6."""
        return self.node("HardSwish", [x], f"{x}.hardswish")


def seed_weights(architecture: Architecture, seed: int) -> dict[str, Array]:
    """Return weights that know nothing, always the same for a seed, of about the sizes that training starts from."""
    random = np.random.default_rng(seed)
    weights: dict[str, Array] = {}
    for name, shape in list_shapes(architecture).items():
        if len(shape) > 1:  # convolutions keep the variance from layer to layer; scores are to stay apart from 0 and 1
            deviation = np.sqrt(2 / np.prod(shape[1:])) if len(shape) == 4 else 0.01
            weights[name] = random.normal(0, deviation, shape).astype(np.float32)
        else:
            ones = name.endswith(("1.weight", "running_var"))
            weights[name] = np.full(shape, 1 if ones else 0, np.float32)
    return weights


def fetch_weights(architecture: Architecture, checkpoint: Path | None) -> dict[str, Array]:
    """Return torchvision's weights, from a file or from where they are published. Raises WeightsError."""
    if checkpoint is not None:
        return _read_weights(architecture, checkpoint)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / architecture.url.rpartition("/")[2]
        try:
            with urllib.request.urlopen(architecture.url, timeout=DOWNLOAD_SECONDS) as answer:  # noqa: S310 - https
                path.write_bytes(answer.read())
        except OSError as error:
            raise WeightsError(
                f"{architecture.url} can't be downloaded: {error}. Bring the file from elsewhere and name it with "
                "--checkpoint, or take --seed for weights that know nothing"
            ) from error
        return _read_weights(architecture, path)


def _read_weights(architecture: Architecture, path: Path) -> dict[str, Array]:
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise WeightsError(f"{path} can't be read: {error}") from error
    if digest != architecture.sha256:
        raise WeightsError(f"the SHA-256 of {path} is {digest}; of {architecture.url} it is {architecture.sha256}")
    return read_checkpoint(path)


def make_folder(architecture: Architecture, seed: int | None) -> Path:
    """Return where the model is put: laid out by the reference that its image would have."""
    tag = "1.0.0" if seed is None else f"seed-{seed}"
    return BUILD / "imageclassifier" / f"{architecture.name}:{tag}" / "model"


def write_model(architecture: Architecture, weights: dict[str, Array], folder: Path) -> Path:
    """Write model.onnx and labels.txt into the folder; return the model's path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "model.onnx"
    path.write_bytes(build_model(architecture, weights).SerializeToString(deterministic=True))
    path.with_name("labels.txt").write_bytes((HERE / "imagenet_labels.txt").read_bytes())
    return path


def main(arguments: list[str] | None = None) -> int:
    """Run from the command line; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("size", choices=ARCHITECTURES)
    origin = parser.add_mutually_exclusive_group()
    origin.add_argument("--checkpoint", type=Path, help="torchvision's file, downloaded already")
    origin.add_argument("--seed", type=int, help="random weights instead")
    given = parser.parse_args(arguments)
    architecture = ARCHITECTURES[given.size]
    try:
        if given.seed is not None:
            weights = seed_weights(architecture, given.seed)
        else:
            weights = fetch_weights(architecture, given.checkpoint)
    except WeightsError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    path = write_model(architecture, weights, make_folder(architecture, given.seed))
    sys.stdout.write(f"{path}\nSHA-256 {hashlib.sha256(path.read_bytes()).hexdigest()}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
