"""How much memory an image takes while it is made into the model's input, told by its header alone. No I/O."""

from dataclasses import dataclass

_STORED = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16L": 2, "I;16B": 2, "I;16N": 2}
"""Bytes a pixel in Pillow's memory, by mode; all others take 4."""

_PROGRESSIVE = {"L": 2, "RGB": 6, "CMYK": 8}
"""Bytes a pixel that libjpeg keeps of a progressive JPEG: a coefficient of 16 bits a component."""

_WEBP_DECODER = 12
"""Bytes a pixel of libwebp's two canvases, and of the frame that is copied out of them."""

_OTHER_BYTES = 2**20
"""What decoders take beside pixels."""


@dataclass(frozen=True)
class Header:
    """What an image's header says of the memory that it takes."""

    format: str
    mode: str
    """Pillow's."""
    size: tuple[int, int]
    """(width, height) in pixels."""
    transparent: bool = False
    progressive: bool = False


def estimate_memory(header: Header, resized: tuple[int, int], *, grey: bool, copied: bool) -> int:
    """Return the bytes that are held at most at once, of an image that is resized to (width, height).

    `grey` is what becomes one channel, `copied` what EXIF may have turned.
    """
    width, height = header.size
    stored = _STORED.get(header.mode, 4)
    a_pixel = stored + _count_decoding(header, stored) + stored * copied + _count_flattening(header, grey)
    # Pillow resizes one direction first: that much of the other one is as it was.
    between = max(resized[0] * height, width * resized[1])
    return width * height * a_pixel + 4 * (between + 2 * resized[0] * resized[1]) + _OTHER_BYTES


def _count_decoding(header: Header, stored: int) -> int:
    if header.format == "webp":
        return _WEBP_DECODER
    if header.format == "jpeg" and header.progressive:
        return _PROGRESSIVE.get(header.mode, 8)
    # libtiff hands over strips, of which one may be the whole image.
    return stored if header.format == "tiff" else 0


def _count_flattening(header: Header, grey: bool) -> int:
    """Return the bytes a pixel of the copies that lead to 8 bits a channel with nothing transparent."""
    sixteen = 4 if header.mode.startswith("I;16") else 0
    if header.transparent:
        # As RGBA, the background, both together, and that without its alpha.
        return sixteen + 16
    if header.mode == ("L" if grey else "RGB"):
        return 0
    return sixteen + (1 if grey else 4)
