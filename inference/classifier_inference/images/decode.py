"""An image's bytes to 8-bit pixels, as Pillow decodes them: judged by the header first, nothing left transparent.

JPEGs go through libjpeg-turbo directly (simplejpeg), into Pillow's own layout: the same decoder as Pillow's, without
its copies. What that refuses, or warns of, goes to Pillow, and Pillow's answer counts.
"""

from importlib import import_module
from io import BytesIO

import numpy as np
import simplejpeg
from PIL import ExifTags, Image, ImageColor, PngImagePlugin

from classifier_inference.images.effort import find_excess
from classifier_inference.images.footprint import Header
from classifier_inference.images.jpeg_header import JpegHeader, read_jpeg_header
from classifier_inference.spec.limits import ImageFormat, Limits
from classifier_inference.spec.preprocessing import Preprocess

# Our own limit is judged from the header, below; Pillow's would warn or refuse before it.
Image.MAX_IMAGE_PIXELS = None
# What a PNG's text may unfold to: nobody counts it, and nobody reads it. Pillow's is 64 MiB.
PngImagePlugin.MAX_TEXT_MEMORY = 8 * 2**20

MOST_SIDE = 2**20
"""The longest side that is resized, in pixels: a filter's weights take memory for each of them."""

_PLUGINS: dict[str, str] = {"tiff": "PIL.TiffImagePlugin", "webp": "PIL.WebPImagePlugin"}
"""What opens formats whose plugins Pillow doesn't have at hand: it would load those of every format that it knows."""

_SIXTEEN_BIT = {"I;16", "I;16L", "I;16B", "I;16N"}
_GREY = {"1", "L"}
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What EXIF's orientations ask for; 1 asks for nothing."""


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


class TooMuchDecodingError(ImageError):
    """An image that takes much more to decode than its size and its bytes tell."""


def judge_format(found: ImageFormat | None, limits: Limits) -> ImageFormat:
    """Return the format that the first bytes name. Raises NotAnImageError, UnsupportedFormatError."""
    if found is None:
        raise NotAnImageError("the bytes are not those of one")
    if found not in limits.formats:
        raise UnsupportedFormatError(f"{found} images are not taken here; taken are {', '.join(limits.formats)}")
    return found


def judge_effort(content: bytes, found: ImageFormat, limits: Limits) -> JpegHeader | None:
    """Return what a JPEG's segments tell. Raises TooMuchDecodingError for what a decoder must not even open."""
    jpeg = read_jpeg_header(content) if found == "jpeg" else None
    excess = find_excess(content, found, limits, jpeg)
    if excess is not None:
        raise TooMuchDecodingError(f"the {found} image has {excess}")
    return jpeg


def open_image(content: bytes, found: ImageFormat) -> Image.Image:
    """Return the image with its header read, its pixels undecoded. Raises BrokenImageError, TooMuchDecodingError."""
    try:
        if found in _PLUGINS:
            import_module(_PLUGINS[found])
        return Image.open(BytesIO(content), formats=[found])
    except MemoryError:
        raise
    except Exception as error:  # Pillow's parsers raise whatever broken bytes lead them to
        _judge_text(error)
        raise BrokenImageError(f"the bytes start like a {found} image and are none") from error


def _judge_text(error: Exception) -> None:
    """Raise TooMuchDecodingError if Pillow says, in the one way it has, that a PNG's text or profile is too long."""
    if isinstance(error, ValueError) and "MAX_TEXT" in str(error):
        raise TooMuchDecodingError("the png image's text or profile unfolds to too much") from error


def judge_size(size: tuple[int, int], limits: Limits) -> None:
    """Raise TooManyPixelsError for an image of (width, height) that has too many, or too many in a row."""
    width, height = size
    if width * height > limits.pixels:
        raise TooManyPixelsError(f"the image is {width}x{height} pixels; at most {limits.pixels} are taken")
    if max(size) > MOST_SIDE:
        raise TooManyPixelsError(f"the image is {width}x{height}: too long and thin; a side has at most {MOST_SIDE}")


def read_header(opened: Image.Image, jpeg: JpegHeader | None) -> Header:
    """Return what is known of the memory that an image takes before it is decoded. Raises BrokenImageError."""
    try:
        transparent = opened.has_transparency_data
    except Exception as error:  # Pillow looks for a palette that a damaged image may not have
        raise BrokenImageError("the image's header contradicts itself") from error
    return Header(
        opened.format or "",
        opened.mode,
        opened.size,
        transparent=transparent,
        buffered=jpeg is not None and jpeg.buffered,
    )


def decode(opened: Image.Image, content: bytes, preprocess: Preprocess) -> Image.Image:
    """Return the first frame as L, RGB or RGBX, upright if `exif` says so. Raises BrokenImageError.

    It is L where it is grey, whatever channels are asked for: resizing is the same for three that are equal.
    """
    try:
        plain = _decode_jpeg(opened, content, preprocess) or _decode_by_pillow(opened, preprocess)
        turn = _TURNS.get(opened.getexif().get(ExifTags.Base.Orientation, 1)) if preprocess.exif == "apply" else None
        return plain if turn is None else plain.transpose(turn)
    except MemoryError:
        raise
    except Exception as error:  # Pillow's parsers raise whatever broken bytes lead them to
        _judge_text(error)
        raise BrokenImageError(f"the image breaks off or is damaged: {error}") from error


def parse_colour(name: str) -> tuple[int, int, int]:
    """Return red, green and blue of one of the names that `background` has."""
    red, green, blue = ImageColor.getrgb(name)[:3]
    return red, green, blue


def _decode_jpeg(opened: Image.Image, content: bytes, preprocess: Preprocess) -> Image.Image | None:
    """Return the pixels of a grey or coloured JPEG; None for what Pillow has to look at."""
    if opened.format not in {"JPEG", "MPO"} or opened.mode not in {"L", "RGB"}:
        return None
    mode = "L" if opened.mode == "L" else "RGBX"
    if mode == "RGBX" and preprocess.channels == "L":
        return None  # libjpeg-turbo's grey of colours is not Pillow's
    width, height = opened.size
    buffer = np.empty((height, width, Image.getmodebands(mode)), np.uint8)
    try:
        simplejpeg.decode_jpeg(content, "GRAY" if mode == "L" else mode, buffer=buffer)
    except ValueError:
        return None
    return Image.frombuffer(mode, opened.size, buffer, "raw", mode, 0, 1)


def _decode_by_pillow(opened: Image.Image, preprocess: Preprocess) -> Image.Image:
    opened.load()
    flat = flatten(opened, preprocess.background)
    mode = "L" if preprocess.channels == "L" or flat.mode in _GREY else "RGB"
    return flat if flat.mode == mode else flat.convert(mode)


def flatten(image: Image.Image, background: str) -> Image.Image:
    """Return the image with 8 bits a channel and nothing transparent."""
    if image.mode in _SIXTEEN_BIT:
        image = _to_eight_bits(image)
    if not image.has_transparency_data:
        return image
    over = image if image.mode == "RGBA" else image.convert("RGBA")
    # In one expression: each of these is as large as the image, and gone before the next but one is made.
    return Image.alpha_composite(Image.new("RGBA", over.size, (*parse_colour(background), 255)), over).convert("RGB")


def _to_eight_bits(image: Image.Image) -> Image.Image:
    """Keep the high byte; a grey value declared transparent (PNG's tRNS) becomes an alpha channel."""
    values = np.asarray(image)
    grey = Image.fromarray((values >> 8).astype(np.uint8))
    transparent = image.info.get("transparency")
    if not isinstance(transparent, int):
        return grey
    alpha = Image.fromarray(np.where(values == transparent, 0, 255).astype(np.uint8))
    return Image.merge("LA", (grey, alpha))
