"""JPEGs: libjpeg-turbo straight into Pillow's layout gives what Pillow's decoder gives, or Pillow decides."""

from pathlib import Path

import numpy as np
import pytest
import simplejpeg
from PIL import Image, ImageFile

from classifier_inference.images.decode import BrokenImageError, decode, open_image
from classifier_inference.spec.preprocessing import Preprocess
from tests.tiny_model import encode, make_noise

PHOTO = Image.open(Path("models/photos/rocket.jpg"))
SIZES = [(640, 427), (1, 1), (1, 17), (17, 1), (7, 9), (16, 16), (223, 223), (31, 33)]


def assert_pillows(content: bytes) -> Image.Image:
    """Compare with Pillow's decoder; return what the server's is."""
    decoded = decode(open_image(content, "jpeg"), content, Preprocess())
    with open_image(content, "jpeg") as opened:
        wanted = opened.convert("L" if decoded.mode == "L" else "RGB")
    np.testing.assert_array_equal(np.asarray(decoded)[..., :3], np.asarray(wanted)[..., :3])
    return decoded


@pytest.mark.parametrize("progressive", [False, True], ids=["baseline", "progressive"])
@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_the_decoded_pixels_are_pillows(
    monkeypatch: pytest.MonkeyPatch, size: tuple[int, int], subsampling: str, progressive: bool
) -> None:
    monkeypatch.setattr(ImageFile, "MAXBLOCK", 2**22)  # what Pillow's encoder may write of noise
    for quality in (1, 30, 75, 90, 100):
        for image in (PHOTO.resize(size), make_noise(size)):
            options = {"quality": quality, "subsampling": subsampling, "progressive": progressive}
            assert assert_pillows(encode(image, "JPEG", **options)).mode == "RGBX"


@pytest.mark.parametrize("subsampling", ["440", "411", "Gray"])
def test_subsamplings_that_pillow_does_not_write_are_decoded_as_it_would(subsampling: str) -> None:
    for size in SIZES:
        pixels = np.ascontiguousarray(PHOTO.resize(size))
        assert_pillows(simplejpeg.encode_jpeg(pixels, 80, "RGB", subsampling))


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_a_grey_jpeg_stays_grey_until_it_is_resized(size: tuple[int, int]) -> None:
    assert assert_pillows(encode(PHOTO.resize(size).convert("L"), "JPEG")).mode == "L"


def test_a_jpeg_whose_channels_are_rgb_is_decoded_as_pillow_does() -> None:
    assert_pillows(encode(PHOTO, "JPEG", keep_rgb=True))


def test_what_only_warns_is_pillows_to_judge() -> None:
    content = encode(PHOTO, "JPEG", quality=80, restart_marker_blocks=16)
    at = content.index(b"\xff\xda") + 4000
    damaged = content[:at] + b"\0\0\0" + content[at + 3 :]
    with pytest.raises(ValueError, match=r"(?i)corrupt"):
        simplejpeg.decode_jpeg(damaged, "RGBX")
    assert assert_pillows(damaged).mode == "RGB"


def test_a_jpeg_that_breaks_off_is_refused_as_pillow_refuses_it() -> None:
    content = encode(PHOTO, "JPEG")
    for share in (0.3, 0.6, 0.9):
        broken = content[: int(len(content) * share)]
        with pytest.raises(BrokenImageError, match="breaks off or is damaged"):
            assert_pillows(broken)
