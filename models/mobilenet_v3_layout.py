"""MobileNetV3-Large and -Small as torchvision's `mobilenetv3.py` lays them out: blocks, names and shapes of weights."""

from dataclasses import dataclass

from models.onnx_graph import CLASSES

STEM_CHANNELS = 16


@dataclass(frozen=True)
class Block:
    """An inverted residual block: expands to `expanded` channels, filters each by itself, projects to `channels`."""

    kernel: int
    expanded: int
    channels: int
    excites: bool
    """Whether squeeze-and-excitation weighs the expanded channels."""
    hard_swish: bool
    """Whether its activation is hard swish, else ReLU."""
    stride: int


@dataclass(frozen=True)
class Architecture:
    """One of the two networks, and where its weights are."""

    name: str
    blocks: tuple[Block, ...]
    hidden: int
    """Channels of the layer before the last."""
    url: str
    sha256: str
    """Of the weights' file."""


LARGE = Architecture(
    "mobilenet-v3-large",
    (
        Block(3, 16, 16, False, False, 1),
        Block(3, 64, 24, False, False, 2),
        Block(3, 72, 24, False, False, 1),
        Block(5, 72, 40, True, False, 2),
        Block(5, 120, 40, True, False, 1),
        Block(5, 120, 40, True, False, 1),
        Block(3, 240, 80, False, True, 2),
        Block(3, 200, 80, False, True, 1),
        Block(3, 184, 80, False, True, 1),
        Block(3, 184, 80, False, True, 1),
        Block(3, 480, 112, True, True, 1),
        Block(3, 672, 112, True, True, 1),
        Block(5, 672, 160, True, True, 2),
        Block(5, 960, 160, True, True, 1),
        Block(5, 960, 160, True, True, 1),
    ),
    1280,
    "https://download.pytorch.org/models/mobilenet_v3_large-5c1a4163.pth",
    "5c1a416349c4cf298f2a6a5e2600ed0ee55e604713578f5e74e6bc8bcaef7997",
)
SMALL = Architecture(
    "mobilenet-v3-small",
    (
        Block(3, 16, 16, True, False, 2),
        Block(3, 72, 24, False, False, 2),
        Block(3, 88, 24, False, False, 1),
        Block(5, 96, 40, True, True, 2),
        Block(5, 240, 40, True, True, 1),
        Block(5, 240, 40, True, True, 1),
        Block(5, 120, 48, True, True, 1),
        Block(5, 144, 48, True, True, 1),
        Block(5, 288, 96, True, True, 2),
        Block(5, 576, 96, True, True, 1),
        Block(5, 576, 96, True, True, 1),
    ),
    1024,
    "https://download.pytorch.org/models/mobilenet_v3_small-047dcff4.pth",
    "047dcff4addef86ea5bc2eff13c9614dc11f47ab1160d0a71a25e7db994f4e1f",
)
ARCHITECTURES = {"large": LARGE, "small": SMALL}


def list_shapes(architecture: Architecture) -> dict[str, tuple[int, ...]]:
    """Return the shape of each of the network's weights, by torchvision's names and in its order."""
    shapes: dict[str, tuple[int, ...]] = {}

    def filter_shapes(prefix: str, inputs: int, outputs: int, kernel: int) -> None:
        shapes[f"{prefix}.0.weight"] = (outputs, inputs, kernel, kernel)
        shapes.update({f"{prefix}.1.{part}": (outputs,) for part in ("weight", "bias", "running_mean", "running_var")})

    def biased(name: str, *shape: int) -> None:
        shapes[f"{name}.weight"], shapes[f"{name}.bias"] = shape, shape[:1]

    filter_shapes("features.0", 3, STEM_CHANNELS, 3)
    channels = STEM_CHANNELS
    for index, block in enumerate(architecture.blocks, start=1):
        prefix, part = f"features.{index}.block", 0
        if block.expanded != channels:
            filter_shapes(f"{prefix}.0", channels, block.expanded, 1)
            part = 1
        filter_shapes(f"{prefix}.{part}", 1, block.expanded, block.kernel)
        if block.excites:
            part += 1
            squeezed = make_divisible(block.expanded / 4)
            biased(f"{prefix}.{part}.fc1", squeezed, block.expanded, 1, 1)
            biased(f"{prefix}.{part}.fc2", block.expanded, squeezed, 1, 1)
        filter_shapes(f"{prefix}.{part + 1}", block.expanded, block.channels, 1)
        channels = block.channels
    filter_shapes(f"features.{len(architecture.blocks) + 1}", channels, 6 * channels, 1)
    biased("classifier.0", architecture.hidden, 6 * channels)
    biased("classifier.3", CLASSES, architecture.hidden)
    return shapes


def make_divisible(channels: float, divisor: int = 8) -> int:
    """Return the multiple of the divisor that is nearest, at least the divisor and not under 0.9 of what is asked."""
    nearest = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return nearest + divisor if nearest < 0.9 * channels else nearest
