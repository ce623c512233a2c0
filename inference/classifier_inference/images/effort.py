"""What an image would have a decoder do beyond what its size tells, found in its bytes before they are decoded. No I/O.

A few kilobytes can hold thousands of scans of a large JPEG, or hundreds of thousands of parts that Pillow looks at one
by one, each of which takes a thousand times as long as it takes to send. What cameras and editors write is far below
the bounds here.
"""

import struct
from collections.abc import Callable, Iterator

from classifier_inference.images.jpeg_header import JpegHeader
from classifier_inference.spec.limits import ImageFormat, Limits

MOST_VISITS = 32
"""How often a JPEG's scans may visit each sample, were the image of limits.pixels. A progressive one of four channels
needs 24."""
MOST_SEGMENTS = 1000
"""A JPEG's. The largest colour profile takes 255."""
MOST_CHUNKS = 20_000
"""A PNG's: 80 MB in the small ones of old encoders."""
MOST_BLOCKS = 10_000
"""A GIF's before its first frame: 2.5 MB of text."""
MOST_RUNS_BYTES = 2 * 2**20
"""A run-length encoded BMP's: each two bytes may be a run."""
MOST_STRIPS = 100_000
"""A TIFF's, or its tiles."""
MOST_TILE_SHARE = 4
"""How much larger than the image a TIFF's tile may be: it is decoded as a whole."""
LEAST_TILE = 2**20
"""Pixels of a tile that is always taken."""

_TILE_SIDES, _COUNTED = (322, 323), (273, 279, 324, 325)
_WIDTH, _HEIGHT = 256, 257
_SHORT = 3
_TYPE_BYTES = {1: 1, 2: 1, _SHORT: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_RUN_LENGTHS = {1, 2}


def find_excess(content: bytes, found: ImageFormat, limits: Limits, jpeg: JpegHeader | None) -> str | None:
    """Return what the image has too much of, or None. `jpeg` is what was read of a JPEG's segments."""
    if jpeg is not None:
        return _judge_jpeg(jpeg, limits)
    judge = _JUDGES.get(found)
    try:
        return judge(content) if judge is not None else None
    except struct.error:
        return None  # cut off: the decoder says so


def _judge_jpeg(jpeg: JpegHeader, limits: Limits) -> str | None:
    if jpeg.segments > MOST_SEGMENTS:
        return f"over {MOST_SEGMENTS} segments"
    if jpeg.scans > 1 and jpeg.visits > MOST_VISITS * limits.pixels:
        return f"{jpeg.scans} scans for its size"
    return None


def _judge_png(content: bytes) -> str | None:
    start, count = 8, 0
    while start + 8 <= len(content) and count <= MOST_CHUNKS and content[start + 4 : start + 8] != b"IEND":
        start += 12 + int.from_bytes(content[start : start + 4], "big")
        count += 1
    return f"over {MOST_CHUNKS} chunks" if count > MOST_CHUNKS else None


def _judge_gif(content: bytes) -> str | None:
    flags = content[10] if len(content) > 10 else 0
    start = 13 + (3 << (flags & 7) + 1 if flags & 0x80 else 0)
    count = 0
    while content[start : start + 1] == b"!":
        start += 2
        while start < len(content) and count <= MOST_BLOCKS:
            size = content[start]
            start += 1 + size
            count += 1
            if size == 0:
                break
        if count > MOST_BLOCKS:
            return f"over {MOST_BLOCKS} blocks before its first frame"
        if start >= len(content):
            break
    return None


def _judge_bmp(content: bytes) -> str | None:
    (compression,) = struct.unpack_from("<I", content, 30)
    if compression in _RUN_LENGTHS and len(content) > MOST_RUNS_BYTES:
        return f"over {MOST_RUNS_BYTES} bytes of runs"
    return None


def _judge_tiff(content: bytes) -> str | None:
    values: dict[int, int] = {}
    size = 0
    for tag, kind, count, value in _read_tags(content):
        if tag in _COUNTED and count > MOST_STRIPS:
            return f"{count} strips or tiles"
        size += min(len(content), count * _TYPE_BYTES.get(kind, 0))
        values.setdefault(tag, value)
        if size > 2 * len(content):
            return "tags that hold more than the file does"
    tile = values.get(_TILE_SIDES[0], 0) * values.get(_TILE_SIDES[1], 0)
    if tile > max(LEAST_TILE, MOST_TILE_SHARE * values.get(_WIDTH, 0) * values.get(_HEIGHT, 0)):
        return f"tiles of {tile} pixels"
    return None


def _read_tags(content: bytes) -> Iterator[tuple[int, int, int, int]]:
    """Yield tag, type, count and first value of the first directory's entries."""
    order = "<" if content[:1] == b"I" else ">"
    (start,) = struct.unpack_from(f"{order}I", content, 4)
    (entries,) = struct.unpack_from(f"{order}H", content, start)
    for number in range(entries):
        tag, kind, count, value = struct.unpack_from(f"{order}HHII", content, start + 2 + 12 * number)
        if kind == _SHORT:
            value = value >> 16 if order == ">" else value & 0xFFFF
        yield tag, kind, count, value


_JUDGES: dict[ImageFormat, Callable[[bytes], str | None]] = {
    "png": _judge_png,
    "gif": _judge_gif,
    "bmp": _judge_bmp,
    "tiff": _judge_tiff,
}
