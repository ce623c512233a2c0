"""What an image would have a decoder do is told from its bytes, and no ordinary image is taken for a bomb."""

import random
import struct
from collections.abc import Callable

import pytest
from PIL import Image

from classifier_inference.images.effort import MOST_BLOCKS, MOST_CHUNKS, MOST_SEGMENTS, find_excess
from classifier_inference.images.jpeg_header import read_jpeg_header
from classifier_inference.images.sniff import sniff
from classifier_inference.spec.limits import Limits
from tests.bombs import REFUSED, make_gif, make_png, make_scans, png_chunk
from tests.tiny_model import encode, make_noise

PHOTO = make_noise((90, 70))
LIMITS = Limits(pixels=PHOTO.width * PHOTO.height, formats=["jpeg", "png", "webp", "gif", "bmp", "tiff"])


def judge(content: bytes, limits: Limits = LIMITS) -> str | None:
    found = sniff(content).format
    assert found is not None
    return find_excess(content, found, limits, read_jpeg_header(content) if found == "jpeg" else None)


@pytest.mark.parametrize(
    "content",
    [
        encode(PHOTO, "JPEG"),
        encode(PHOTO, "JPEG", progressive=True, subsampling=0),
        encode(PHOTO.convert("CMYK"), "JPEG", progressive=True),
        encode(PHOTO, "JPEG", icc_profile=b"a" * 2**20, exif=b"Exif\0\0" + b"a" * 60_000),
        encode(PHOTO, "MPO", save_all=True, append_images=[PHOTO] * 5),
        encode(PHOTO, "PNG"),
        encode(PHOTO, "PNG") + bytes(1_000_000),
        encode(PHOTO.convert("P"), "GIF", comment=b"a" * 100_000),
        encode(PHOTO, "WEBP"),
        encode(PHOTO, "BMP"),
        encode(PHOTO, "TIFF"),
        encode(PHOTO, "TIFF", compression="tiff_lzw"),
        encode(PHOTO.convert("I;16"), "TIFF"),
    ],
)
def test_an_ordinary_image_of_the_largest_size_has_nothing_too_much(content: bytes) -> None:
    assert judge(content) is None


def test_scans_are_counted_by_the_samples_that_they_visit() -> None:
    grey = Limits(pixels=64)
    assert judge(make_scans(32, (8, 8)), grey) is None
    assert judge(make_scans(33, (8, 8)), grey) == "33 scans for its size"
    assert judge(make_scans(33, (8, 8)), Limits(pixels=128)) is None


@pytest.mark.parametrize(("progressive", "scans"), [(False, 1), (True, 10)])
def test_coefficients_are_kept_where_there_are_several_scans(progressive: bool, scans: int) -> None:
    found = read_jpeg_header(encode(PHOTO, "JPEG", progressive=progressive, subsampling=0))
    assert (found.buffered, found.scans) == (progressive, scans)
    assert found.visits == (14 if progressive else 3) * PHOTO.width * PHOTO.height


def test_coefficients_are_kept_where_channels_come_one_after_the_other() -> None:
    frame = b"\xff\xc0\0\x11\x08" + struct.pack(">HH", 8, 8) + b"\3\1\x11\0\2\x11\0\3\x11\0"
    scans = b"".join(b"\xff\xda\0\x08\1" + bytes([channel]) + b"\0\0\x3f\0" + b"\0\xff\0" for channel in (1, 2, 3))
    found = read_jpeg_header(b"\xff\xd8" + frame + scans + b"\xff\xd9")
    assert (found.buffered, found.scans, found.visits) == (True, 3, 3 * 64)


def test_bytes_that_only_look_like_scans_are_none() -> None:
    marks = b"\xff\xda" * 5000
    content = encode(PHOTO, "JPEG", exif=b"Exif\0\0" + marks, progressive=True) + marks
    assert read_jpeg_header(content).scans == 10


@pytest.mark.parametrize(
    ("make", "most"),
    [
        (lambda count: b"\xff\xd8\xff" + b"\xe5\0\2\xff" * count + b"\xd9", MOST_SEGMENTS),
        (lambda count: make_png(*[png_chunk(b"abCd")] * (count - 2)), MOST_CHUNKS),
        (lambda count: make_gif((8, 8), (8, 8), b"\x21\xfe\0" * count), MOST_BLOCKS),
    ],
    ids=["jpeg", "png", "gif"],
)
def test_parts_are_counted(make: Callable[[int], bytes], most: int) -> None:
    assert judge(make(most)) is None
    assert f"over {most}" in (judge(make(most + 1)) or "")


def test_a_tile_may_be_larger_than_its_image_but_not_by_much() -> None:
    assert "tiles of" in (judge(REFUSED["tiff of one tile"](), Limits()) or "")


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_bytes_that_are_cut_or_changed_are_judged_all_the_same(mode: str) -> None:
    dice = random.Random(1)
    photo = make_noise((30, 20)).convert(mode)
    for kind in ("JPEG", "PNG", "GIF", "BMP", "TIFF"):
        content = encode(photo, kind)
        for _ in range(500):
            changed = bytearray(content[: dice.randrange(16, len(content))])
            for _ in range(dice.randrange(10)):
                changed[dice.randrange(12, len(changed))] = dice.randrange(256)
            judge(bytes(changed))


def test_a_large_progressive_photo_is_taken() -> None:
    content = encode(Image.new("RGB", (4000, 3000), "red"), "JPEG", progressive=True)
    assert judge(content, Limits()) is None
