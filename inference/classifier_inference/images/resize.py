"""A part of a resized image, as Pillow's resize then crop would give it, without computing the rest.

The native kernel (resample.c) gives Pillow's pixels bit for bit. Where it is missing, as without a C compiler, Pillow's
own resize does it from a box, in the order of passes of the whole: 1 of 255 off, in up to 2 values of ten thousand.
"""

import math
import os
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL import _imaging as core

from classifier_inference.images.geometry import Part, Size

try:
    from classifier_inference.images import resample
except ImportError:  # no C compiler was there when this was installed
    HAS_KERNEL = False
else:
    HAS_KERNEL = True

Pixels = NDArray[np.uint8]
Method = Literal["avx2", "portable", "pillow"]

SUPPORTS = {"box": 0.5, "bilinear": 1.0, "hamming": 1.0, "bicubic": 2.0, "lanczos": 3.0}
"""How many inputs a filter reaches to either side, where it doesn't shrink."""

_SPARE = 12
"""How many outputs beside the wanted ones may be computed for a better box."""

_WHOLE = 4096
"""Up to which length a side is resized whole, where boxes would do badly."""

_CHUNK = 2**16

# As large as Pillow takes it: an image lies in one piece then, in which the kernel reads it where it is.
core.set_block_size(2**31 - 2**12)


def choose_method(wanted: str, instructions: str | None) -> Method:
    """Return what resizes: the kernel by its instructions, where there is one and `pillow` isn't wanted."""
    if wanted == "pillow" or instructions is None:
        return "pillow"
    return "avx2" if instructions == "avx2" else "portable"


METHOD: Method = choose_method(os.environ.get("CLASSIFIER_RESIZE", ""), resample.INSTRUCTIONS if HAS_KERNEL else None)
"""What resizes here."""


def resize_part(image: Image.Image, resized: Size, part: Part, interpolation: str, channels: str) -> Pixels:
    """Return the part, height x width x channels (1 for L, else 3), of what the image gives when resized.

    The image is L, RGB or RGBX; `interpolation` is Pillow's name of a filter, in lower case.
    """
    if METHOD != "pillow":
        try:
            pixels = image.__arrow_c_array__()[1]
        except ValueError:  # not in one piece: over 2 GiB, or memory was short
            pass
        else:
            return _run_kernel(pixels, image.size, resized, part, interpolation, channels)
    return arrange(resize_by_pillow(image, resized, part, interpolation), channels)


def _run_kernel(pixels: object, size: Size, resized: Size, part: Part, interpolation: str, channels: str) -> Pixels:
    out = np.empty((part.height, part.width, 1 if channels == "L" else 3), np.uint8)
    box = part.left, part.top, part.width, part.height
    resample.resize_part(pixels, size, resized, box, interpolation, out, channels == "BGR")
    return out


def arrange(pixels: Pixels, channels: str) -> Pixels:
    """Return height x width x channels of what is height x width, or height x width x 3 or 4 in the order of RGB."""
    if pixels.ndim == 2:
        return np.repeat(pixels[:, :, np.newaxis], 1 if channels == "L" else 3, axis=2)
    return pixels[:, :, 2::-1] if channels == "BGR" else pixels[:, :, :3]


def resize_by_pillow(image: Image.Image, resized: Size, part: Part, interpolation: str) -> Pixels:
    """Return the part by Pillow alone: height x width, or height x width x 3 or 4."""
    if interpolation == "nearest":
        rows = map_nearest(image.height, resized[1], part.top, part.height)
        columns = map_nearest(image.width, resized[0], part.left, part.width)
        box = int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
        return np.asarray(image.crop(box))[np.ix_(rows - rows[0], columns - columns[0])]
    x = _plan_side(image.width, resized[0], part.left, part.width, interpolation)
    y = _plan_side(image.height, resized[1], part.top, part.height, interpolation)
    needed, resampling = image.crop((x.begin, y.begin, x.end, y.end)), Image.Resampling[interpolation.upper()]
    # One pass a call, in the order that Pillow takes for the whole: it goes by the sizes, and these are the part's.
    if is_vertical_first(image.size, resized):
        between = needed.resize((needed.width, y.count), resampling, (0, y.low, needed.width, y.high))
        done = between.resize((x.count, y.count), resampling, (x.low, 0, x.high, y.count))
    else:
        between = needed.resize((x.count, needed.height), resampling, (x.low, 0, x.high, needed.height))
        done = between.resize((x.count, y.count), resampling, (0, y.low, x.count, y.high))
    return np.asarray(done)[y.skip : y.skip + part.height, x.skip : x.skip + part.width]


def is_vertical_first(size: Size, resized: Size) -> bool:
    """Return whether Pillow resizes the height before the width."""
    shorter, narrower = size[1] - resized[1], size[0] - resized[0]
    return shorter > 0 and shorter > 2 * narrower


@dataclass(frozen=True)
class _Side:
    """How Pillow resizes one side: a box of its inputs, to `count` outputs, of which the first `skip` aren't wanted."""

    begin: int
    """The first input that is needed at all; the box is counted from it."""
    end: int
    low: float
    high: float
    count: int
    skip: int


def _plan_side(size: int, resized: int, first: int, count: int, interpolation: str) -> _Side:
    """Return how to resize one side so that its outputs are those of the whole, as nearly as Pillow's boxes allow.

    Pillow has a box's ends in single precision: from among the outputs beside the wanted ones, those are taken as the
    ends that this keeps best. The whole side is exact; it is taken where that is little more, and for the filter `box`,
    which jumps where others fade.
    """
    if size == resized:
        return _Side(first, first + count, 0, count, count, 0)
    scale, last = size / resized, first + count
    whole = interpolation == "box" and resized <= _WHOLE
    reach = SUPPORTS[interpolation] * max(scale, 1) + 1
    begin = 0 if whole else max(0, math.floor((first - _SPARE + 0.5) * scale - reach))
    starts = [0] if whole else range(max(0, first - _SPARE), first + 1)
    ends = [resized] if whole else range(last, min(resized, last + _SPARE) + 1)
    start, stop = _find_best(np.array(starts), np.array(ends), scale, begin)
    end = min(size, math.ceil(stop * scale + reach))
    return _Side(begin, end, start * scale - begin, min(end - begin, stop * scale - begin), stop - start, first - start)


def _find_best(starts: NDArray[np.int64], ends: NDArray[np.int64], scale: float, begin: int) -> tuple[int, int]:
    """Return the start and the end between which a box in single precision is least off."""
    low, high = starts[:, np.newaxis] * scale - begin, ends * scale - begin
    low_single, high_single = low.astype(np.float32), high.astype(np.float32)
    off = np.abs(low_single - low) + np.abs((high_single - low_single) - (high - low))
    row, column = np.unravel_index(np.argmin(off), off.shape)
    return int(starts[row]), int(ends[column])


def map_nearest(size: int, resized: int, first: int, count: int) -> NDArray[np.int64]:
    """Return the input that each output takes, of one side.

    Pillow adds the scale up, output by output; a product would round differently.
    """
    scale = size / resized
    at = scale * 0.5
    while first > 0:
        step = min(first, _CHUNK)
        at = float(np.add.accumulate(np.r_[at, np.full(step, scale)])[-1])
        first -= step
    inputs = np.add.accumulate(np.r_[at, np.full(count - 1, scale)]).astype(np.int64)
    return np.minimum(inputs, size - 1)
