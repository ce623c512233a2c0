"""How much memory an image takes on its way to pixels, told from its header. No I/O."""

import math
from dataclasses import dataclass

from PIL import ImageMode

from classifier_inference.images.geometry import Geometry, Part, Size, find_part, measure
from classifier_inference.images.resize import SUPPORTS
from classifier_inference.spec.preprocessing import Preprocess

_MODES = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16L": 2, "I;16B": 2, "I;16N": 2}
"""What a decoded pixel takes; 4 in every other mode."""

_DECODERS = {"WEBP": 12, "TIFF": 4, "GIF": 4}
"""What a decoder holds of each pixel beside the image itself, at most: canvases, or the whole of it as one strip."""

_WEIGHT_BYTES = 8
_ARRAY_BYTES = 8


@dataclass(frozen=True)
class Header:
    """What an image's header says of the memory that it takes."""

    format: str
    """Pillow's."""
    mode: str
    """Pillow's."""
    size: Size
    transparent: bool = False
    buffered: bool = False
    """Whether a JPEG comes in several scans: progressive, or a channel after the other."""


def estimate_bytes(header: Header, geometry: Geometry, preprocess: Preprocess) -> int:
    """Return the most bytes that decoding and resizing an image will take, of one that is not yet decoded.

    `geometry` is what an image of the header's size is resized to. The encoded bytes themselves are not counted, nor
    what the model takes.
    """
    width, height = header.size
    pixels = width * height * sum(_list_copies(header, preprocess))
    resizing = _count_resizing(header.size, geometry, preprocess)
    if preprocess.exif == "apply":
        turned = height, width
        resizing = max(resizing, _count_resizing(turned, measure(turned, preprocess.resize), preprocess))
    return pixels + resizing


def _list_copies(header: Header, preprocess: Preprocess) -> list[int]:
    """Return the bytes a pixel of everything that may be in memory at once."""
    copies = [_MODES.get(header.mode, 4), _DECODERS.get(header.format, 0)]
    if header.buffered:
        copies.append(2 * len(ImageMode.getmode(header.mode).bands))  # every coefficient, 16 bits each
    if header.mode.startswith("I;16"):
        copies += [_ARRAY_BYTES, 4]
    if header.transparent:
        copies += [4, 4, 4]
    if header.mode not in {"L", "RGB"} or preprocess.channels == "L":
        copies.append(4)
    if preprocess.exif == "apply":
        copies.append(4)
    return copies


def _count_resizing(size: Size, geometry: Geometry, preprocess: Preprocess) -> int:
    part = find_part(geometry, preprocess)
    height, width = preprocess.output_size
    between = 4 * max(size[0] * part.height, size[1] * part.width)
    return between + _count_weights(size, geometry.resized, part, preprocess.interpolation) + 3 * 4 * height * width


def _count_weights(size: Size, resized: Size, part: Part, interpolation: str) -> int:
    support = SUPPORTS.get(interpolation, 0)
    windows = (math.ceil(support * max(1, side / to)) * 2 + 1 + 8 for side, to in zip(size, resized, strict=True))
    return sum(
        count * window * _WEIGHT_BYTES for count, window in zip((part.width, part.height), windows, strict=True)
    ) + _ARRAY_BYTES * max(size)
