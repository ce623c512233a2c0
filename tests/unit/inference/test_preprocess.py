"""What becomes of an image on its way to the model."""

import io
import struct
import zlib

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from classifier_inference.images.decode import (
    BrokenImageError,
    NotAnImageError,
    TooManyPixelsError,
    UnsupportedFormatError,
)
from classifier_inference.images.geometry import measure
from classifier_inference.images.preprocess import normalise, prepare_image
from classifier_inference.spec.limits import Limits
from classifier_inference.spec.preprocessing import Preprocess, Resize
from tests.tiny_model import encode, make_image, make_noise

EXACT = Preprocess(resize=Resize(exact=[4, 4]), interpolation="nearest")
ANY_FORMAT = Limits(formats=["jpeg", "png", "webp", "gif", "bmp", "tiff"])


def prepare(content: bytes, preprocess: Preprocess = EXACT, limits: Limits = ANY_FORMAT) -> NDArray[np.uint8]:
    return prepare_image(content, preprocess, limits)


def png_header(width: int, height: int) -> bytes:
    """A PNG that ends after a header claiming a size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("image", "kind", "wanted"),
    [
        (Image.new("RGB", (4, 4), (10, 20, 30)), "PNG", (10, 20, 30)),
        (Image.new("L", (4, 4), 77), "PNG", (77, 77, 77)),
        (Image.new("1", (4, 4), 1), "PNG", (255, 255, 255)),
        (Image.new("P", (4, 4), 0), "PNG", (0, 0, 0)),
        (Image.new("RGB", (4, 4), (10, 20, 30)).quantize(2), "GIF", (10, 20, 30)),
        (Image.fromarray(np.full((4, 4), 0x8142, np.uint16)), "PNG", (0x81, 0x81, 0x81)),
        (Image.fromarray(np.full((4, 4), 0x8142, np.uint16)), "TIFF", (0x81, 0x81, 0x81)),
        (Image.new("RGBA", (4, 4), (10, 20, 30, 0)), "PNG", (255, 255, 255)),
        (Image.new("RGBA", (4, 4), (10, 20, 30, 255)), "PNG", (10, 20, 30)),
        (Image.new("RGBA", (4, 4), (10, 20, 30, 255)), "WEBP", (10, 20, 30)),
        (Image.new("LA", (4, 4), (0, 0)), "PNG", (255, 255, 255)),
        (Image.new("CMYK", (4, 4), (0, 0, 0, 0)), "TIFF", (255, 255, 255)),
        (Image.new("CMYK", (4, 4), (0, 0, 0, 255)), "JPEG", (0, 0, 0)),
        (Image.new("RGB", (4, 4), (10, 20, 30)), "BMP", (10, 20, 30)),
    ],
    ids=lambda value: value.mode if isinstance(value, Image.Image) else str(value),
)
def test_every_mode_becomes_eight_bit_rgb(image: Image.Image, kind: str, wanted: tuple[int, int, int]) -> None:
    options = {"lossless": True} if kind == "WEBP" else {}
    pixels = prepare(encode(image, kind, **options))
    assert pixels.dtype == np.uint8
    assert pixels.shape == (4, 4, 3)
    assert tuple(pixels[0, 0]) == wanted


def test_a_palette_with_a_transparent_entry_shows_the_background() -> None:
    image = Image.new("RGB", (4, 4), "red").quantize(2)
    pixels = prepare(encode(image, transparency=image.getpixel((0, 0))))
    assert tuple(pixels[0, 0]) == (255, 255, 255)


def test_a_transparent_grey_value_of_sixteen_bits_shows_the_background() -> None:
    image = Image.fromarray(np.array([[0x1234, 0x5678]], np.uint16))
    content = encode(image, transparency=0x1234)
    pixels = prepare(content, Preprocess(resize=Resize(exact=[1, 2]), interpolation="nearest"))
    assert pixels[0, :, 0].tolist() == [255, 0x56]


def test_half_transparent_pixels_mix_with_the_background() -> None:
    content = encode(Image.new("RGBA", (4, 4), (255, 0, 0, 128)))
    pixels = prepare(content, EXACT.model_copy(update={"background": "#000040"}))
    assert tuple(pixels[0, 0]) == (128, 0, 32)


def test_the_first_frame_counts() -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    buffer = io.BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:])
    assert tuple(prepare(buffer.getvalue())[0, 0]) == (255, 0, 0)


@pytest.mark.parametrize(("exif", "wanted"), [("ignore", [255, 0]), ("apply", [0, 255])])
def test_exif_turns_the_image_only_if_asked(exif: str, wanted: list[int]) -> None:
    image = Image.new("RGB", (2, 1), "red")
    image.putpixel((1, 0), (0, 0, 255))
    orientation = Image.Exif()
    orientation[0x0112] = 3
    preprocess = Preprocess.model_validate(
        {"resize": {"exact": [1, 2]}, "interpolation": "nearest", "exif": exif, "crop": None}
    )
    assert prepare(encode(image, exif=orientation), preprocess)[0, :, 0].tolist() == wanted


def test_an_image_on_its_side_is_measured_after_turning() -> None:
    orientation = Image.Exif()
    orientation[0x0112] = 6
    preprocess = Preprocess(resize=Resize(pad=[8, 8]), exif="apply", background="black", interpolation="nearest")
    content = encode(Image.new("RGB", (16, 8), "white"), exif=orientation)
    columns = prepare(content, preprocess).any(axis=(0, 2))
    assert columns.tolist() == [False, False, True, True, True, True, False, False]


@pytest.mark.parametrize(("channels", "wanted"), [("RGB", [10, 20, 30]), ("BGR", [30, 20, 10]), ("L", [18])])
def test_channels_come_in_the_order_asked_for(channels: str, wanted: list[int]) -> None:
    preprocess = Preprocess.model_validate({"resize": {"exact": [4, 4]}, "channels": channels})
    pixels = prepare(make_image("#0a141e", (4, 4)), preprocess)
    assert pixels[0, 0].tolist() == wanted


@pytest.mark.parametrize(
    ("size", "resize", "resized", "offset"),
    [
        ((500, 333), {"shorterSide": 256}, (384, 256), (0, 0)),
        ((333, 500), {"shorterSide": 256}, (256, 384), (0, 0)),
        ((1000, 999), {"shorterSide": 256}, (256, 256), (0, 0)),
        ((451, 300), {"shorterSide": 256}, (384, 256), (0, 0)),
        ((300, 451), {"shorterSide": 256}, (256, 384), (0, 0)),
        ((100, 50), {"exact": [30, 40]}, (40, 30), (0, 0)),
        ((100, 50), {"pad": [40, 40]}, (40, 20), (0, 10)),
        ((50, 100), {"pad": [40, 40]}, (20, 40), (10, 0)),
        ((1000, 1), {"pad": [40, 40]}, (40, 1), (0, 19)),
    ],
)
def test_sizes_follow_the_resize_rule(
    size: tuple[int, int], resize: dict[str, object], resized: tuple[int, int], offset: tuple[int, int]
) -> None:
    geometry = measure(size, Resize.model_validate(resize))
    assert (geometry.resized, geometry.offset) == (resized, offset)


@pytest.mark.parametrize("interpolation", ["nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"])
def test_resize_and_crop_are_pillows(interpolation: str) -> None:
    image = make_noise((61, 41))
    preprocess = Preprocess.model_validate({"resize": {"shorterSide": 32}, "crop": 25, "interpolation": interpolation})
    whole = image.resize((int(32 * 61 / 41), 32), Image.Resampling[interpolation.upper()])
    left, top = round((whole.width - 25) / 2), round((whole.height - 25) / 2)
    wanted = np.asarray(whole.crop((left, top, left + 25, top + 25)))
    np.testing.assert_array_equal(prepare(encode(image), preprocess), wanted)


def test_padding_has_the_background_in_the_channels_asked_for() -> None:
    preprocess = Preprocess(resize=Resize(pad=[4, 4]), channels="BGR", background="#010203")
    pixels = prepare(make_image("white", (4, 2)), preprocess)
    assert pixels[0, 0].tolist() == [3, 2, 1]
    assert pixels[1, 0].tolist() == [255, 255, 255]


@pytest.mark.parametrize(("layout", "shape"), [("NCHW", (1, 3, 2, 4)), ("NHWC", (1, 2, 4, 3))])
def test_normalising_gives_one_float32_image_in_the_layout(layout: str, shape: tuple[int, ...]) -> None:
    pixels = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    preprocess = Preprocess.model_validate(
        {"resize": {"exact": [2, 4]}, "layout": layout, "mean": [0.1, 0.2, 0.3], "std": [0.5, 0.6, 0.7]}
    )
    values = normalise(pixels, preprocess)
    assert values.dtype == np.float32
    assert values.shape == shape
    assert values.flags.c_contiguous
    blue = values[0, 2, 1, 3] if layout == "NCHW" else values[0, 1, 3, 2]
    assert blue == (np.float32(23) / np.float32(255) - np.float32(0.3)) / np.float32(0.7)


@pytest.mark.parametrize(
    "content",
    [png_header(100_000, 100_000), b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0" + b"\xff\xff\xff" * 2 + b"\0" * 8],
    ids=["png", "webp"],
)
def test_too_many_pixels_are_refused_by_the_header(content: bytes) -> None:
    with pytest.raises(TooManyPixelsError, match="at most 50000000"):
        prepare(content)


@pytest.mark.parametrize("size", [(1, 70_000), (70_000, 1), (1, 2_000_000)])
def test_an_image_too_long_and_thin_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(TooManyPixelsError, match="too long and thin"):
        prepare(make_image("red", size), Preprocess(resize=Resize(shorter_side=256)))


def test_a_low_pixel_limit_still_lets_small_images_be_enlarged() -> None:
    pixels = prepare(make_image("red", (8, 8)), Preprocess(), Limits(pixels=100))
    assert pixels.shape == (224, 224, 3)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_truncated_image_is_refused(kind: str) -> None:
    content = encode(make_noise((64, 64)), kind)
    with pytest.raises(BrokenImageError):
        prepare(content[: len(content) // 2])


@pytest.mark.parametrize("content", [b"", b"hello", b"%PDF-1.7", b"\0" * 100])
def test_bytes_that_are_no_image_are_refused(content: bytes) -> None:
    with pytest.raises(NotAnImageError):
        prepare(content)


@pytest.mark.parametrize(
    "content", [b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"BM", b"II*\0", b"RIFF----WEBP"]
)
def test_bytes_that_only_start_like_an_image_are_refused(content: bytes) -> None:
    with pytest.raises(BrokenImageError):
        prepare(content)


def test_a_format_that_is_not_listed_is_refused() -> None:
    with pytest.raises(UnsupportedFormatError, match="bmp images are not taken here; taken are jpeg, png, webp"):
        prepare(make_image(kind="BMP"), limits=Limits())
