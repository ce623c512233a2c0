"""Damaged images: a corpus of every kind that there is, and changes to it that are the same for the same seed."""

import random
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any

import numpy as np
from PIL import Image

from tests.bombs import make_bmp, make_tiff
from tests.tiny_model import encode, make_noise

SIZE = (61, 47)
EXTREMES = tuple(map(bytes.fromhex, ("00", "ff", "7f", "80", "01", "00000000", "ffffffff", "7fffffff", "00000080")))
HEADER_BYTES = 160
"""Where sizes, counts and offsets are: half of the changes go there."""


@cache
def make_corpus() -> dict[str, bytes]:
    """Images by what is special about them."""
    photo = make_noise(SIZE)
    smooth = Image.linear_gradient("L").resize(SIZE)
    colours = Image.merge("RGB", [smooth, smooth.rotate(180), smooth.transpose(Image.Transpose.FLIP_LEFT_RIGHT)])
    frames = [colours, photo, colours.rotate(90)]
    clear = colours.copy()
    clear.putalpha(smooth)
    palette = colours.quantize(16)
    deep = Image.fromarray((np.asarray(smooth, np.uint16) << 8) + 7)
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a camera"
    made = {"exif": exif.tobytes()}
    moving = {"save_all": True, "append_images": frames[1:]}
    profile = {"icc_profile": bytes(range(256)) * 8}
    return {
        "jpeg": _encode(colours, "JPEG"),
        "jpeg noise": _encode(photo, "JPEG", quality=95, subsampling=0),
        "jpeg progressive": _encode(colours, "JPEG", progressive=True, **made),
        "jpeg CMYK": _encode(colours.convert("CMYK"), "JPEG", **profile),
        "jpeg CMYK progressive": _encode(photo.convert("CMYK"), "JPEG", progressive=True),
        "jpeg grey": _encode(smooth, "JPEG", optimize=True),
        "jpeg restarts": _encode(colours, "JPEG", restart_marker_blocks=2),
        "mpo": _encode(frames[0], "MPO", save_all=True, append_images=frames[1:]),
        "png": _encode(colours, "PNG", **profile),
        "png RGBA": _encode(clear, "PNG", **made),
        "png grey": _encode(smooth, "PNG"),
        "png LA": _encode(clear.convert("LA"), "PNG"),
        "png palette": _encode(palette, "PNG", transparency=3, bits=4),
        "png 1 bit": _encode(smooth.convert("1"), "PNG"),
        "png 16 bit": _encode(deep, "PNG"),
        "png animated": _encode(frames[0], "PNG", **moving),
        "webp": _encode(colours, "WEBP", **made),
        "webp lossless": _encode(photo, "WEBP", lossless=True),
        "webp alpha": _encode(clear, "WEBP", **profile),
        "webp animated": _encode(frames[0], "WEBP", **moving),
        "gif": _encode(palette, "GIF", transparency=2),
        "gif animated": _encode(frames[0], "GIF", comment=b"a comment", **moving),
        "gif interlaced": _encode(palette, "GIF", interlace=1),
        "bmp": _encode(colours, "BMP"),
        "bmp palette": _encode(palette, "BMP"),
        "bmp 1 bit": _encode(smooth.convert("1"), "BMP"),
        "bmp runs": make_bmp((60, 40), b"\5\1\0\3abc\0\0\2\2\0\2\1\1" * 40 + b"\0\1", compression=1, bits=8),
        "tiff": _encode(colours, "TIFF", **made),
        "tiff LZW": _encode(colours, "TIFF", compression="tiff_lzw"),
        "tiff deflate": _encode(photo, "TIFF", compression="tiff_adobe_deflate"),
        "tiff packbits": _encode(palette, "TIFF", compression="packbits"),
        "tiff JPEG": _encode(colours, "TIFF", compression="jpeg"),
        "tiff fax": _encode(smooth.convert("1"), "TIFF", compression="group4"),
        "tiff 16 bit": _encode(deep, "TIFF"),
        "tiff float": _encode(smooth.convert("F"), "TIFF"),
        "tiff CMYK": _encode(colours.convert("CMYK"), "TIFF"),
        "tiff alpha": _encode(clear, "TIFF", compression="tiff_lzw"),
        "tiff pages": _encode(frames[0], "TIFF", **moving),
        "tiff tile": _make_tile(),
    }


def _encode(image: Image.Image, kind: str, **options: Any) -> bytes:
    # Copies: Pillow's JPEG encoder leaves its settings in an image, for the next encoder.
    if "append_images" in options:
        options["append_images"] = [frame.copy() for frame in options["append_images"]]
    return encode(image.copy(), kind, **options)


def _make_tile() -> bytes:
    """A compressed TIFF of one tile, which Pillow can't write."""
    pixels = zlib.compress(bytes(range(256)) * 4)
    short, long = 3, 4
    tags = {
        256: (long, 1, 30), 257: (long, 1, 20), 258: (short, 1, 8), 259: (short, 1, 8), 262: (short, 1, 1),
        277: (short, 1, 1), 322: (long, 1, 32), 323: (long, 1, 32), 324: (long, 1, 200), 325: (long, 1, len(pixels)),
    }  # fmt: skip
    return make_tiff(tags).ljust(200, b"\0") + pixels


def make_mutants(seed: int) -> Iterator[bytes]:
    """Yield mutants for ever, the same for the same seed."""
    corpus = list(make_corpus().values())
    dice = random.Random(seed)
    while True:
        content = bytearray(dice.choice(corpus))
        for _ in range(dice.choice((1, 1, 2, 3))):
            dice.choice(_CHANGES)(dice, content, corpus)
        yield bytes(mend_png(content) if dice.random() < 0.7 else content)


def mend_png(content: bytearray) -> bytearray:
    """Give a PNG's chunks their checksums back: else the first changed one would be the last that is looked at."""
    if not content.startswith(b"\x89PNG\r\n\x1a\n"):
        return content
    start = 8
    while start + 12 <= len(content):
        size = int.from_bytes(content[start : start + 4], "big")
        end = start + 8 + size
        if end + 4 > len(content):
            break
        content[end : end + 4] = struct.pack(">I", zlib.crc32(content[start + 4 : end]))
        start = end + 4
    return content


def _place(dice: random.Random, content: bytearray) -> int:
    end = min(HEADER_BYTES, len(content)) if dice.random() < 0.5 else len(content)
    return dice.randrange(max(1, end))


def _flip(dice: random.Random, content: bytearray, corpus: Sequence[bytes]) -> None:
    for _ in range(dice.choice((1, 4, 32))):
        if content:
            content[_place(dice, content)] ^= 1 << dice.randrange(8)


def _set_bytes(dice: random.Random, content: bytearray, corpus: Sequence[bytes]) -> None:
    place = _place(dice, content)
    content[place : place + 4] = dice.randbytes(4)


def _set_extreme(dice: random.Random, content: bytearray, corpus: Sequence[bytes]) -> None:
    extreme = dice.choice(EXTREMES)
    place = _place(dice, content)
    content[place : place + len(extreme)] = extreme


def _cut(dice: random.Random, content: bytearray, corpus: Sequence[bytes]) -> None:
    del content[dice.randrange(len(content) + 1) :]


def _take_out(dice: random.Random, content: bytearray, corpus: Sequence[bytes]) -> None:
    place = _place(dice, content)
    del content[place : place + dice.randrange(1, 200)]


def _repeat(dice: random.Random, content: bytearray, corpus: Sequence[bytes]) -> None:
    place = _place(dice, content)
    part = content[place : place + dice.randrange(1, 300)]
    content[place:place] = part * dice.choice((1, 3, 100))


def _splice(dice: random.Random, content: bytearray, corpus: Sequence[bytes]) -> None:
    other = dice.choice(corpus)
    start = dice.randrange(len(other))
    place = _place(dice, content)
    content[place : place + dice.choice((0, 50, 10_000))] = other[start : start + dice.choice((50, 500, 10_000))]


_CHANGES: tuple[Callable[[random.Random, bytearray, Sequence[bytes]], None], ...] = (
    _flip, _flip, _set_bytes, _set_extreme, _set_extreme, _cut, _take_out, _repeat, _splice,
)  # fmt: skip
