"""Small images that take a decoder much memory, or long: one and more a format."""

import struct
import zlib
from collections.abc import Callable

from PIL import Image

from tests.tiny_model import encode

FILE_BYTES = 2**20
"""What those have that are made of very many small parts."""

LARGEST = (7000, 7000)
"""Just under the default of limits.pixels."""

ABSURD = 60_000
"""A side that no limit lets in."""


def png_chunk(name: bytes, data: bytes = b"") -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def make_png(*chunks: bytes, size: tuple[int, int] = (8, 8), rows: bytes | None = None) -> bytes:
    """An RGB PNG with chunks before its pixels."""
    header = struct.pack(">IIBBBBB", *size, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"\0" * (size[1] * (1 + 3 * size[0])) if rows is None else rows, 9)
    parts = (png_chunk(b"IHDR", header), *chunks, png_chunk(b"IDAT", pixels), png_chunk(b"IEND"))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def _png_of_texts() -> bytes:
    text = zlib.compress(b"\0" * 2**20, 9)
    return make_png(*[png_chunk(b"zTXt", b"a%d\0\0" % number + text) for number in range(500)])


def _png_of_international_texts() -> bytes:
    text = zlib.compress(b" " * 2**20, 9)
    return make_png(*[png_chunk(b"iTXt", b"a%d\0\1\0\0\0" % number + text) for number in range(500)])


def _png_of_a_profile() -> bytes:
    return make_png(png_chunk(b"iCCP", b"a\0\0" + zlib.compress(b"\0" * 2**28, 9)))


def _png_of_chunks() -> bytes:
    return make_png(png_chunk(b"abCd") * (FILE_BYTES // 12))


def _png_of_more_rows_than_it_has() -> bytes:
    return make_png(rows=b"\0" * 2**28)


def _png_of_frames() -> bytes:
    frames = [Image.new("RGB", (8, 8), (number % 256, number // 256, 0)) for number in range(2000)]
    return encode(frames[0], "PNG", save_all=True, append_images=frames[1:])


def _size_jpeg(size: tuple[int, int]) -> bytes:
    content = bytearray(encode(Image.new("RGB", (8, 8)), "JPEG"))
    start = content.index(b"\xff\xc0")
    content[start + 5 : start + 9] = struct.pack(">HH", *size)
    return bytes(content)


def make_scans(count: int, size: tuple[int, int] = LARGEST) -> bytes:
    """A progressive JPEG that says the same again and again: each time every block is visited."""
    content = encode(Image.new("L", size), "JPEG", progressive=True)
    last = content[content.rindex(b"\xff\xda") : -2]
    return content[:-2] + last * (count - content.count(b"\xff\xda")) + b"\xff\xd9"


def _jpeg_of_segments() -> bytes:
    content = encode(Image.new("RGB", (8, 8)), "JPEG")
    return content[:2] + b"\xff\xe5\0\2" * (FILE_BYTES // 4) + content[2:]


def _jpeg_of_empty_directories() -> bytes:
    """EXIF whose directories lead to each other."""
    directory = struct.pack("<HHHIII", 1, 0x8769, 4, 1, 8, 8)
    exif = b"Exif\0\0II*\0\x08\0\0\0" + directory
    content = encode(Image.new("RGB", (8, 8)), "JPEG")
    return content[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + content[2:]


def _mpo_of_images() -> bytes:
    """An MPO that says it has four thousand million images."""
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    content = bytearray(encode(frames[0], "MPO", save_all=True, append_images=frames[1:]))
    start = content.index(struct.pack("<HHII", 0xB001, 4, 1, 2))
    content[start + 8 : start + 12] = b"\xff\xff\xff\xff"
    return bytes(content)


def make_gif(screen: tuple[int, int], frame: tuple[int, int], *blocks: bytes, count: int = 1) -> bytes:
    """A GIF of a screen and of frames of a size, each of one pixel's data."""
    head = b"GIF89a" + struct.pack("<HHBBB", *screen, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff" + b"".join(blocks)
    pixels = encode(Image.new("P", (8, 8)), "GIF")
    data = pixels[pixels.rindex(b"\x2c\0\0\0\0\x08\0\x08\0") + 10 : -1]
    one = b"\x2c" + struct.pack("<HHHHB", 0, 0, *frame, 0) + data
    return head + one * count + b";"


def make_webp(size: tuple[int, int], frames: int = 0) -> bytes:
    """A WebP whose first chunk tells a canvas, as an animation if there are frames."""
    image = encode(Image.new("RGB", (8, 8)), "WEBP")[12:]
    sides = (size[0] - 1).to_bytes(3, "little") + (size[1] - 1).to_bytes(3, "little")
    canvas = _riff(b"VP8X", bytes([0x02 if frames else 0, 0, 0, 0]) + sides)
    if not frames:
        return _riff(b"RIFF", b"WEBP" + canvas + image)
    frame = _riff(b"ANMF", b"\0" * 6 + b"\x07\0\0\x07\0\0" + b"\x0a\0\0\0" + image)
    return _riff(b"RIFF", b"WEBP" + canvas + _riff(b"ANIM", b"\0" * 6) + frame * frames)


def _riff(name: bytes, data: bytes) -> bytes:
    return name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)


def _size_webp() -> bytes:
    content = bytearray(encode(Image.new("RGB", (8, 8)), "WEBP"))
    start = content.index(b"\x9d\x01\x2a") + 3
    content[start : start + 4] = struct.pack("<HH", 16383, 16383)
    return bytes(content)


def make_bmp(size: tuple[int, int], pixels: bytes = b"", compression: int = 0, bits: int = 24) -> bytes:
    """A BMP; compression 1 is RLE8."""
    palette = b"\0\0\0\0\xff\xff\xff\0" * 128 if bits == 8 else b""
    start = 54 + len(palette)
    head = b"BM" + struct.pack("<IHHI", start + len(pixels), 0, 0, start)
    info = struct.pack("<IiiHHIIiiII", 40, *size, 1, bits, compression, len(pixels), 0, 0, 0, 0)
    return head + info + palette + pixels


def make_tiff(tags: dict[int, tuple[int, int, int]], data: bytes = b"", directories: int = 1) -> bytes:
    """A TIFF of one directory, or of a chain of them; a tag is (type, count, value or offset)."""
    content = bytearray(b"II*\0" + struct.pack("<I", 8))
    for number in range(directories):
        entries = b"".join(struct.pack("<HHII", tag, *value) for tag, value in sorted(tags.items()))
        following = len(content) + 2 + len(entries) + 4 if number < directories - 1 else 0
        content += struct.pack("<H", len(tags)) + entries + struct.pack("<I", following)
    return bytes(content + data)


_SHORT, _LONG = 3, 4
_DEFLATE = 8


def _tiff_tags(width: int, height: int, **more: tuple[int, int, int]) -> dict[int, tuple[int, int, int]]:
    return {
        256: (_LONG, 1, width), 257: (_LONG, 1, height), 258: (_SHORT, 1, 8), 259: (_SHORT, 1, 1),
        262: (_SHORT, 1, 1), 273: (_LONG, 1, 8), 277: (_SHORT, 1, 1), 278: (_LONG, 1, height), 279: (_LONG, 1, 1),
    }  # fmt: skip


def _tiff_of_tiles() -> bytes:
    """Pixels in tiles of one row, as many as a count can tell."""
    tags = _tiff_tags(*LARGEST)
    for strip in (273, 278, 279):
        del tags[strip]
    tags |= {322: (_LONG, 1, 16), 323: (_LONG, 1, 16), 324: (_LONG, 2**32 - 1, 8), 325: (_LONG, 2**32 - 1, 8)}
    return make_tiff(tags)


def _tiff_of_one_tile() -> bytes:
    """A few pixels, in a tile of 2^28 of them."""
    pixels = zlib.compress(b"\0" * 2**28, 9)
    tags = _tiff_tags(16, 16) | {259: (_SHORT, 1, _DEFLATE)}
    for strip in (273, 278, 279):
        del tags[strip]
    tags |= {322: (_LONG, 1, 2**14), 323: (_LONG, 1, 2**14), 324: (_LONG, 1, 200), 325: (_LONG, 1, len(pixels))}
    return make_tiff(tags).ljust(200, b"\0") + pixels


def _tiff_of_strips() -> bytes:
    tags = _tiff_tags(*LARGEST) | {273: (_LONG, 2**30, 8), 278: (_LONG, 1, 1), 279: (_LONG, 2**30, 8)}
    return make_tiff(tags)


def _tiff_of_short_strips() -> bytes:
    """As many strips as there is room for, each a row of one pixel."""
    count = FILE_BYTES // 4
    tags = _tiff_tags(1, count) | {273: (_LONG, count, 200), 278: (_LONG, 1, 1), 279: (_LONG, count, 200)}
    return make_tiff(tags).ljust(200, b"\0") + b"\x08\0\0\0" * count


def _tiff_of_tags_over_each_other() -> bytes:
    """Compressed, so that libtiff reads the directory too: 59,000 tags that it doesn't know, each of a megabyte."""
    tags = _tiff_tags(8, 8) | {259: (_SHORT, 1, _DEFLATE)} | {tag: (7, FILE_BYTES, 8) for tag in range(1000, 60_000)}
    return make_tiff(tags, zlib.compress(b"\0" * 64)).ljust(FILE_BYTES + 8, b"\0")


def _jpeg_of_tags_over_each_other() -> bytes:
    entries = b"".join(struct.pack("<HHII", tag, 7, 30_000, 8) for tag in range(1, 2500))
    exif = (b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", 2499) + entries).ljust(65_000, b"\0")
    content = encode(Image.new("RGB", (8, 8)), "JPEG")
    return content[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + content[2:]


def _tiff_of_samples() -> bytes:
    return make_tiff(_tiff_tags(1000, 1000) | {277: (_SHORT, 1, 65535), 258: (_SHORT, 65535, 8)})


def _tiff_of_directories() -> bytes:
    return make_tiff(_tiff_tags(8, 8), directories=FILE_BYTES // 114)


def _tiff_of_itself() -> bytes:
    """A chain of directories that ends where it begins."""
    content = bytearray(make_tiff(_tiff_tags(8, 8)))
    content[-4:] = struct.pack("<I", 8)
    return bytes(content)


def _tiff_of_a_long_tag() -> bytes:
    content = make_tiff(_tiff_tags(8, 8) | {700: (_LONG, FILE_BYTES // 4, 200)})
    return content.ljust(FILE_BYTES + 400, b"\0")


REFUSED: dict[str, Callable[[], bytes]] = {
    "jpeg": lambda: _size_jpeg((ABSURD, ABSURD)),
    "jpeg of 3000 scans": lambda: make_scans(3000),
    "jpeg of 40 scans": lambda: make_scans(40),
    "jpeg of segments": _jpeg_of_segments,
    "png": lambda: make_png(size=(ABSURD, ABSURD), rows=b"\0"),
    "png, thin": lambda: make_png(size=(2**24, 2), rows=b"\0"),
    "png of texts": _png_of_texts,
    "png of international texts": _png_of_international_texts,
    "png of a profile": _png_of_a_profile,
    "png of chunks": _png_of_chunks,
    "gif's screen": lambda: make_gif((ABSURD, ABSURD), (1, 1)),
    "gif's frame": lambda: make_gif((8, 8), (ABSURD, ABSURD)),
    "gif of comments": lambda: make_gif((8, 8), (8, 8), b"\x21\xfe\x01a\0" * (FILE_BYTES // 5)),
    "webp": _size_webp,
    "webp's canvas": lambda: make_webp((2**24, 2**24)),
    "webp's canvas, animated": lambda: make_webp((16384, 16384), frames=2),
    "bmp": lambda: make_bmp((ABSURD, ABSURD)),
    "bmp, upside down": lambda: make_bmp((ABSURD, -ABSURD)),
    "bmp of runs, large": lambda: make_bmp((ABSURD, ABSURD), b"\xff\0" * 100, compression=1, bits=8),
    "bmp of very many runs": lambda: make_bmp((7000, 7000), b"\1\0" * (FILE_BYTES + 1), compression=1, bits=8),
    "tiff": lambda: make_tiff(_tiff_tags(ABSURD, ABSURD)),
    "tiff of tiles": _tiff_of_tiles,
    "tiff of one tile": _tiff_of_one_tile,
    "tiff of strips": _tiff_of_strips,
    "tiff of short strips": _tiff_of_short_strips,
    "tiff of tags over each other": _tiff_of_tags_over_each_other,
}
"""What gets its 413 before it is decoded."""

BOUNDED: dict[str, Callable[[], bytes]] = {
    "jpeg whose EXIF leads to itself": _jpeg_of_empty_directories,
    "jpeg of tags over each other": _jpeg_of_tags_over_each_other,
    "mpo of images": _mpo_of_images,
    "png of more rows than it has": _png_of_more_rows_than_it_has,
    "png of frames": _png_of_frames,
    "gif of frames": lambda: make_gif((8, 8), (8, 8), count=FILE_BYTES // 28),
    "webp of frames": lambda: make_webp((8, 8), frames=FILE_BYTES // 80),
    "bmp of runs that leap": lambda: make_bmp((1000, 1000), b"\0\2\xff\xff" * 10_000, compression=1, bits=8),
    "bmp of runs": lambda: make_bmp((1000, 1000), b"\xff\0" * 200_000, compression=1, bits=8),
    "tiff of samples": _tiff_of_samples,
    "tiff of directories": _tiff_of_directories,
    "tiff that leads to itself": _tiff_of_itself,
    "tiff of a long tag": _tiff_of_a_long_tag,
}
"""What may be answered or refused, and takes little of either memory or time."""
