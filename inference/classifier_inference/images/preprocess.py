"""An image's bytes to the model's input, with Pillow's pixels.

The order: open; judge format and size from the header; take the first frame; 16-bit grey to 8 bits by >> 8; lay
transparent pixels over the background; convert to the channels; turn as EXIF says, if asked; resize and crop, of which
only what the crop shows is computed; then (pixel / scale - mean) / std.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, closing, nullcontext
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from classifier_inference.images.decode import (
    TooManyPixelsError,
    decode,
    judge_effort,
    judge_format,
    judge_size,
    open_image,
    parse_colour,
    read_header,
)
from classifier_inference.images.footprint import Header, estimate_bytes
from classifier_inference.images.geometry import Geometry, Size, find_part, measure
from classifier_inference.images.resize import Pixels, arrange, resize_part
from classifier_inference.images.sniff import EncodedImage, read_webp_header, sniff
from classifier_inference.spec.limits import ImageFormat, Limits
from classifier_inference.spec.preprocessing import Preprocess

MOST_RESIZED_SIDE = 2**24
"""The longest side that resizing may give, though only the crop of it is computed: single precision, as Pillow's."""

Hold = Callable[[int], AbstractContextManager[None]]
"""Counts that many bytes for as long as it is open."""


@dataclass(frozen=True)
class Source:
    """What an image was before anything was made of it."""

    format: ImageFormat | Literal["pixels", "tensor"]
    size: Size


def uncounted(size: int) -> AbstractContextManager[None]:
    """Let that many bytes be taken, whatever else is."""
    return nullcontext()


def prepare_image(content: bytes, preprocess: Preprocess, limits: Limits) -> Pixels:
    """Return uint8 pixels, height x width x channels, in the channel order asked for. Raises ImageError."""
    return decode_image(sniff(content), preprocess, limits)[0]


def decode_image(
    image: EncodedImage, preprocess: Preprocess, limits: Limits, hold: Hold = uncounted
) -> tuple[Pixels, Source]:
    """Return what prepare_image returns, and what it was made of.

    `hold` is told how many bytes that takes, before they are taken. Raises ImageError, and what `hold` raises.
    """
    content, found = image.content, judge_format(image.format, limits)
    with ExitStack() as held:
        if found == "webp" and (webp := read_webp_header(content)) is not None:
            # Pillow sets up a WebP's canvases as soon as it opens one; of all others it reads the header alone.
            header = Header("WEBP", "RGBA" if webp.alpha else "RGB", webp.size, transparent=webp.alpha)
            held.enter_context(hold(estimate_bytes(header, _plan(webp.size, preprocess, limits), preprocess)))
            opened = open_image(content, found)
            geometry = _plan(opened.size, preprocess, limits)
        else:
            jpeg = judge_effort(content, found, limits)
            opened = open_image(content, found)
            geometry = _plan(opened.size, preprocess, limits)
            held.enter_context(hold(estimate_bytes(read_header(opened, jpeg), geometry, preprocess)))
        held.enter_context(closing(opened))
        upright = decode(opened, content, preprocess)
        if upright.size != opened.size:
            geometry = measure(upright.size, preprocess.resize)
        return _show(upright, geometry, preprocess), Source(found, opened.size)


def fit_pixels(pixels: Pixels, preprocess: Preprocess, limits: Limits, hold: Hold = uncounted) -> Pixels:
    """Return what prepare_image returns, of an image's RGB pixels, height x width x 3.

    Raises TooManyPixelsError, and what `hold` raises.
    """
    image = Image.fromarray(pixels)
    geometry = _plan(image.size, preprocess, limits)
    with hold(estimate_bytes(Header("", image.mode, image.size), geometry, preprocess)):
        return _show(image.convert("L") if preprocess.channels == "L" else image, geometry, preprocess)


def arrange_batch(pixels: Pixels, preprocess: Preprocess) -> NDArray[np.uint8]:
    """Return a batch of one of the pixels as they are, in the model's layout, from height x width x channels."""
    planes = pixels.transpose(2, 0, 1) if preprocess.layout == "NCHW" else pixels
    return np.ascontiguousarray(planes[np.newaxis])


def normalise(pixels: Pixels, preprocess: Preprocess) -> NDArray[np.float32]:
    """Return a batch of one, float32, in the model's layout, from height x width x channels.

    In float32 throughout, divided before the mean is taken off: bit for bit what torchvision's ToTensor and Normalize
    give with scale 255.
    """
    planes, shape = (pixels.transpose(2, 0, 1), (-1, 1, 1)) if preprocess.layout == "NCHW" else (pixels, (-1,))
    values = np.empty((1, *planes.shape), np.float32)
    values[0] = planes
    # In place, and plane by plane: the same arithmetic at an eighth of the time that temporaries and strides take.
    values /= np.float32(preprocess.scale)
    values -= np.asarray(preprocess.effective_mean, np.float32).reshape(shape)
    values /= np.asarray(preprocess.effective_std, np.float32).reshape(shape)
    return values


def _plan(size: Size, preprocess: Preprocess, limits: Limits) -> Geometry:
    """Return what an image of a size is resized to. Raises TooManyPixelsError where it is too large for that."""
    judge_size(size, limits)
    geometry = measure(size, preprocess.resize)
    if max(geometry.resized) > MOST_RESIZED_SIDE:
        raise TooManyPixelsError(f"the image is {size[0]}x{size[1]}: too long and thin to be resized")
    return geometry


def _show(image: Image.Image, geometry: Geometry, preprocess: Preprocess) -> Pixels:
    """Return what the crop shows of the resized image, and of the background around it."""
    part, (height, width) = find_part(geometry, preprocess), preprocess.output_size
    if not part.width or not part.height:
        return _fill(height, width, preprocess)
    pixels = resize_part(image, geometry.resized, part, preprocess.interpolation, preprocess.channels)
    if (part.height, part.width) == (height, width):
        return pixels
    canvas, (x, y) = _fill(height, width, preprocess), part.at
    canvas[y : y + part.height, x : x + part.width] = pixels
    return canvas


def _fill(height: int, width: int, preprocess: Preprocess) -> Pixels:
    mode = "L" if preprocess.channels == "L" else "RGB"
    colour = Image.new("RGB", (1, 1), parse_colour(preprocess.background)).convert(mode)
    pixel = arrange(np.asarray(colour), preprocess.channels)
    return np.tile(pixel, (height, width, 1))
