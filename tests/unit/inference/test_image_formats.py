"""What the documentation says of formats, modes and metadata that aren't a plain RGB photo."""

import io
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms

from classifier_inference.images.decode import BrokenImageError
from classifier_inference.images.preprocess import decode_image, prepare_image
from classifier_inference.images.sniff import sniff
from classifier_inference.spec.limits import Limits
from classifier_inference.spec.preprocessing import Preprocess, Resize
from tests.bombs import png_chunk
from tests.reference import reference
from tests.tiny_model import TO_STORED, encode

PHOTO = Image.open(Path("models/photos/cat.jpg"))
UPRIGHT = Preprocess(resize=Resize(shorter_side=64), crop=48, interpolation="bicubic", exif="apply")
LIMITS = Limits(formats=["jpeg", "png", "webp", "gif", "bmp", "tiff"])
PREPARE = """
import sys
from pathlib import Path
from classifier_inference.images.preprocess import prepare_image
from classifier_inference.spec.limits import Limits
from classifier_inference.spec.preprocessing import Preprocess, Resize

for path in map(Path, sys.argv[1:]):
    prepare_image(path.read_bytes(), Preprocess(resize=Resize(exact=(8, 8))), Limits(formats=[path.name]))
print(*(name for name in sys.modules if name.startswith("PIL.")))
"""


def prepare(content: bytes) -> NDArray[np.uint8]:
    """What the server makes of it, having seen that Pillow makes the same."""
    pixels = prepare_image(content, UPRIGHT, LIMITS)
    np.testing.assert_array_equal(pixels, reference(content, UPRIGHT)[0])
    return pixels


def test_no_image_has_pillow_load_the_plugins_of_other_formats(tmp_path: Path) -> None:
    for name in LIMITS.formats:
        (tmp_path / name).write_bytes(encode(PHOTO.resize((9, 9)), name))
    files = [tmp_path / name for name in LIMITS.formats]
    ran = subprocess.run([sys.executable, "-c", PREPARE, *files], capture_output=True, text=True, check=True)
    loaded = set(ran.stdout.split())
    assert {"PIL.TiffImagePlugin", "PIL.WebPImagePlugin"} < loaded
    assert not loaded & {"PIL.EpsImagePlugin", "PIL.FliImagePlugin", "PIL.PsdImagePlugin"}


def save_all(frames: list[Image.Image], kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    frames[0].save(buffer, kind, save_all=True, append_images=frames[1:], **options)
    return buffer.getvalue()


def store(orientation: int, kind: str, **options: object) -> bytes:
    """The photo as stored by a camera that was held so."""
    method, exif = TO_STORED[orientation], Image.Exif()
    exif[0x0112] = orientation
    return encode(PHOTO if method is None else PHOTO.transpose(method), kind, exif=exif, **options)


def encode_wide_rgb(high: NDArray[np.uint8]) -> bytes:
    """A PNG of 16 bits a channel whose high bytes are given, and whose low bytes would round every one of them up."""
    height, width, _ = high.shape
    wide = (high.astype(">u2") << 8 | 0xFF).astype(">u2")
    lines = b"".join(b"\0" + line.tobytes() for line in wide)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        chunk(kind, data) for kind, data in ((b"IHDR", header), (b"IDAT", zlib.compress(lines)), (b"IEND", b""))
    )


@pytest.mark.parametrize("orientation", TO_STORED)
@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_every_exif_orientation_gives_the_upright_photos_pixels(kind: str, orientation: int) -> None:
    options = {"lossless": True} if kind == "WEBP" else {}
    np.testing.assert_array_equal(prepare(store(orientation, kind, **options)), prepare(encode(PHOTO)))


@pytest.mark.parametrize("orientation", TO_STORED)
def test_every_exif_orientation_of_a_jpeg_is_turned_as_pillow_turns_it(orientation: int) -> None:
    prepare(store(orientation, "JPEG", quality=90))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_an_icc_profile_is_passed_over(kind: str) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ")).tobytes()
    tagged = encode(PHOTO, kind, icc_profile=profile)
    assert Image.open(io.BytesIO(tagged)).info["icc_profile"] == profile
    np.testing.assert_array_equal(prepare(tagged), prepare(encode(PHOTO, kind)))


def test_sixteen_bits_a_channel_lose_their_low_byte() -> None:
    np.testing.assert_array_equal(prepare(encode_wide_rgb(np.asarray(PHOTO))), prepare(encode(PHOTO)))


@pytest.mark.parametrize(("kind", "options"), [("WEBP", {"lossless": True}), ("GIF", {}), ("PNG", {}), ("TIFF", {})])
def test_of_an_animation_the_first_frame_counts(kind: str, options: dict[str, object]) -> None:
    still = PHOTO.quantize(64).convert("RGB")
    frames = [still, still.transpose(Image.Transpose.ROTATE_180)]
    pixels = prepare(save_all(frames, kind, **options))
    if kind != "GIF":  # whose own palette comes out a little differently
        np.testing.assert_array_equal(pixels, prepare(encode(still)))


def test_a_phones_jpeg_of_several_pictures_is_a_jpeg() -> None:
    content = save_all([PHOTO, PHOTO.rotate(90)], "MPO", quality=90)
    assert Image.open(io.BytesIO(content)).format == "MPO"
    assert decode_image(sniff(content), UPRIGHT, Limits(formats=["jpeg"]))[1].format == "jpeg"
    np.testing.assert_array_equal(prepare(content), prepare(encode(PHOTO, "JPEG", quality=90)))


@pytest.mark.parametrize("transparency", [None, 3])
@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_palettes_are_looked_up_before_resizing(kind: str, transparency: int | None) -> None:
    image = PHOTO.quantize(16)
    options = {} if transparency is None else {"transparency": transparency}
    prepare(encode(image, kind, **options))


@pytest.mark.parametrize("adobe_transform", [0, 2, None], ids=["inverted CMYK", "YCCK", "no Adobe marker"])
def test_jpegs_of_four_channels_are_pillows(adobe_transform: int | None) -> None:
    content = encode(PHOTO.convert("CMYK"), "JPEG")
    at = content.index(b"Adobe")
    if adobe_transform is None:
        content = content[: at - 4] + content[at + 12 :]
    else:
        content = content[: at + 11] + bytes([adobe_transform]) + content[at + 12 :]
    prepare(content)


def test_a_palette_image_without_its_palette_is_broken() -> None:
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 3, 0, 0, 0))
    pixels = png_chunk(b"IDAT", zlib.compress(b"\0" * 72)) + png_chunk(b"IEND")
    with pytest.raises(BrokenImageError):
        prepare_image(b"\x89PNG\r\n\x1a\n" + header + pixels, Preprocess(), Limits())
