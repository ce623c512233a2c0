"""An image's bytes to the model's input, with Pillow.

The order: open; judge format and size from the header; take the first frame; turn it as EXIF says, if asked; 16-bit
grey to 8 bits by >> 8; lay transparent pixels over the background; convert to the channels; resize; crop; then
(pixel / scale - mean) / std.

`shorterSide` gives the longer side as torchvision's Resize does, int(size * long / short), cut off and not rounded; the
crop lies where torchvision's CenterCrop puts it, at round((side - crop) / 2), halves to even.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, closing, nullcontext
from dataclasses import dataclass
from io import BytesIO
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor, ImageOps

from classifier_inference import image_header
from classifier_inference.image_memory import Header, estimate_memory
from classifier_inference.spec import ImageFormat, Limits, Preprocess, Resize

# Our own limit is judged from the header, below; Pillow's would warn or refuse before it.
Image.MAX_IMAGE_PIXELS = None

STRETCH_PIXELS = 50_000_000
"""What resizing may make of an image at least, however low its own limit is."""

_SIXTEEN_BIT = {"I;16", "I;16L", "I;16B", "I;16N"}

Hold = Callable[[int], AbstractContextManager[None]]
"""Counts that many bytes for as long as it is open."""


class ImageError(Exception):
    """The image can't be classified; the message says why."""


class NotAnImageError(ImageError):
    """The first bytes are no image's."""


class BrokenImageError(ImageError):
    """An image whose bytes break off or contradict themselves."""


class UnsupportedFormatError(ImageError):
    """An image of a format that isn't taken here."""


class TooManyPixelsError(ImageError):
    """Over the limit of pixels, judged before decoding."""


@dataclass(frozen=True)
class Geometry:
    """Sizes in pixels as (width, height), as Pillow has them."""

    resized: tuple[int, int]
    offset: tuple[int, int]
    """Where the resized image lies on the canvas; not (0, 0) only with pad."""
    canvas: tuple[int, int]


@dataclass(frozen=True)
class Source:
    """What an image was before anything was made of it."""

    format: ImageFormat | Literal["pixels", "tensor"]
    size: tuple[int, int]
    """(width, height) in pixels."""


def uncounted(size: int) -> AbstractContextManager[None]:
    """Let that many bytes be taken, whatever else is."""
    return nullcontext()


def prepare_image(content: bytes, preprocess: Preprocess, limits: Limits) -> NDArray[np.uint8]:
    """Return uint8 pixels, height x width x channels, in the channel order asked for. Raises ImageError."""
    return decode_image(content, preprocess, limits)[0]


def decode_image(
    content: bytes, preprocess: Preprocess, limits: Limits, hold: Hold = uncounted
) -> tuple[NDArray[np.uint8], Source]:
    """Return what prepare_image returns, and what it was made of.

    `hold` is told how many bytes that takes, before they are taken. Raises ImageError, and what `hold` raises.
    """
    found = _judge_format(content, limits)
    with ExitStack() as held:
        # Pillow sets up a WebP's canvases as soon as it opens one; of all others it reads the header alone.
        webp = image_header.read_webp_header(content) if found == "webp" else None
        if webp is not None:
            _judge_pixels(webp.size, measure(webp.size, preprocess.resize), limits)
            header = Header("webp", "RGBA" if webp.alpha else "RGB", webp.size, transparent=webp.alpha)
            held.enter_context(hold(_estimate(header, preprocess)))
        image = _open_image(content, found)
        size = image.size
        _judge_pixels(size, measure(size, preprocess.resize), limits)
        if webp is None:
            held.enter_context(hold(_estimate(_read_header(image, found), preprocess)))
        held.enter_context(closing(image))
        return _make_pixels(image, preprocess), Source(found, size)


def fit_pixels(
    pixels: NDArray[np.uint8], preprocess: Preprocess, limits: Limits, hold: Hold = uncounted
) -> NDArray[np.uint8]:
    """Return what prepare_image returns, of an image's RGB pixels, height x width x 3.

    Raises TooManyPixelsError, and what `hold` raises.
    """
    height, width, _ = pixels.shape
    header = Header("bmp", "RGB", (width, height))
    _judge_pixels(header.size, measure(header.size, preprocess.resize), limits)
    with hold(_estimate(header, preprocess)):
        return _make_pixels(Image.fromarray(pixels), preprocess)


def _make_pixels(image: Image.Image, preprocess: Preprocess) -> NDArray[np.uint8]:
    wanted = "L" if preprocess.channels == "L" else "RGB"
    try:
        image.load()
        turned = ImageOps.exif_transpose(image) if preprocess.exif == "apply" else image
        flat = flatten(turned, preprocess.background)
        converted = flat if flat.mode == wanted else flat.convert(wanted)
    except MemoryError:
        raise
    except Exception as error:  # Pillow's parsers raise whatever broken bytes lead them to
        raise BrokenImageError(f"the image breaks off or is damaged: {error}") from error
    resized = _resize(converted, measure(turned.size, preprocess.resize), preprocess)
    return _to_pixels(_crop(resized, preprocess.effective_crop), preprocess)


def _read_header(image: Image.Image, found: ImageFormat) -> Header:
    return Header(
        found,
        image.mode,
        image.size,
        transparent=image.has_transparency_data,
        progressive="progressive" in image.info,
    )


def _estimate(header: Header, preprocess: Preprocess) -> int:
    """Return the bytes that decoding and resizing take, turned or not."""
    apply = preprocess.exif == "apply"
    sizes = [header.size, header.size[::-1]] if apply else [header.size]
    longest = max((measure(size, preprocess.resize).resized for size in sizes), key=lambda resized: sum(resized))
    return estimate_memory(header, longest, grey=preprocess.channels == "L", copied=apply)


def normalise(pixels: NDArray[np.uint8], preprocess: Preprocess) -> NDArray[np.float32]:
    """Return a batch of one, float32, in the model's layout, from height x width x channels.

    In float32 throughout, divided before the mean is taken off: bit for bit what torchvision's ToTensor and Normalize
    give with scale 255.
    """
    mean = np.asarray(preprocess.effective_mean, np.float32)
    std = np.asarray(preprocess.effective_std, np.float32)
    values = (pixels.astype(np.float32) / np.float32(preprocess.scale) - mean) / std
    planes = values.transpose(2, 0, 1) if preprocess.layout == "NCHW" else values
    return np.ascontiguousarray(planes[np.newaxis])


def measure(size: tuple[int, int], resize: Resize) -> Geometry:
    """Return what an image of (width, height) is resized to, and where that lies."""
    width, height = size
    if resize.shorter_side is not None:
        side = resize.shorter_side
        resized = (side, int(side * height / width)) if width <= height else (int(side * width / height), side)
        return Geometry(resized, (0, 0), resized)
    if resize.exact is not None:
        exact = resize.exact[1], resize.exact[0]
        return Geometry(exact, (0, 0), exact)
    box_height, box_width = resize.pad or (height, width)
    ratio = min(box_width / width, box_height / height)
    fitted = max(1, round(width * ratio)), max(1, round(height * ratio))
    offset = (box_width - fitted[0]) // 2, (box_height - fitted[1]) // 2
    return Geometry(fitted, offset, (box_width, box_height))


def flatten(image: Image.Image, background: str) -> Image.Image:
    """Return the image with 8 bits a channel and nothing transparent."""
    if image.mode in _SIXTEEN_BIT:
        image = _to_eight_bits(image)
    if not image.has_transparency_data:
        return image
    over = image.convert("RGBA")
    under = Image.new("RGBA", over.size, (*_parse_colour(background), 255))
    return Image.alpha_composite(under, over).convert("RGB")


def _to_eight_bits(image: Image.Image) -> Image.Image:
    """Keep the high byte; a grey value declared transparent (PNG's tRNS) becomes an alpha channel."""
    values = np.asarray(image)
    grey = Image.fromarray((values >> 8).astype(np.uint8))
    transparent = image.info.get("transparency")
    if not isinstance(transparent, int):
        return grey
    alpha = Image.fromarray(np.where(values == transparent, 0, 255).astype(np.uint8))
    return Image.merge("LA", (grey, alpha))


def _judge_format(content: bytes, limits: Limits) -> ImageFormat:
    found = image_header.sniff_format(content)
    if found is None:
        raise NotAnImageError("the bytes are not those of one")
    if found not in limits.formats:
        raise UnsupportedFormatError(f"{found} images are not taken here; taken are {', '.join(limits.formats)}")
    return found


def _open_image(content: bytes, found: ImageFormat) -> Image.Image:
    try:
        return Image.open(BytesIO(content), formats=[found])
    except MemoryError:
        raise
    except Exception as error:  # Pillow's parsers raise whatever broken bytes lead them to
        raise BrokenImageError(f"the bytes start like a {found} image and are none") from error


def _judge_pixels(size: tuple[int, int], geometry: Geometry, limits: Limits) -> None:
    """Raise TooManyPixelsError for an image too large to decode, or so long and thin that resizing it would be."""
    _judge_size(size, limits)
    width, height = geometry.resized
    # Pillow resizes the width first, so that much of the height as it was is in memory for a while.
    if width * max(height, size[1]) > max(limits.pixels, STRETCH_PIXELS):
        raise TooManyPixelsError(f"the image is {size[0]}x{size[1]}: too long and thin to be resized")


def _judge_size(size: tuple[int, int], limits: Limits) -> None:
    width, height = size
    if width * height > limits.pixels:
        raise TooManyPixelsError(f"the image is {width}x{height} pixels; at most {limits.pixels} are taken")


def _resize(image: Image.Image, geometry: Geometry, preprocess: Preprocess) -> Image.Image:
    resized = image.resize(geometry.resized, Image.Resampling[preprocess.interpolation.upper()])
    if geometry.canvas == geometry.resized:
        return resized
    colour = Image.new("RGB", (1, 1), _parse_colour(preprocess.background)).convert(resized.mode)
    canvas = colour.resize(geometry.canvas)
    canvas.paste(resized, geometry.offset)
    return canvas


def _crop(image: Image.Image, side: int | None) -> Image.Image:
    if side is None:
        return image
    left, top = round((image.width - side) / 2), round((image.height - side) / 2)
    return image.crop((left, top, left + side, top + side))


def _to_pixels(image: Image.Image, preprocess: Preprocess) -> NDArray[np.uint8]:
    pixels = np.asarray(image, np.uint8)
    if preprocess.channels == "L":
        return pixels[:, :, np.newaxis]
    return pixels[:, :, ::-1] if preprocess.channels == "BGR" else pixels


def _parse_colour(name: str) -> tuple[int, int, int]:
    red, green, blue = ImageColor.getrgb(name)[:3]
    return red, green, blue
