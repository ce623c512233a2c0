"""The server's pixels and the model's input are those of plain Pillow, bit for bit."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from classifier_inference.images.preprocess import normalise, prepare_image
from classifier_inference.spec.limits import Limits
from classifier_inference.spec.preprocessing import Preprocess
from tests.pairwise import pair_up
from tests.reference import reference
from tests.tiny_model import encode, make_noise

PHOTOS = [Image.open(path) for path in sorted(Path("models/photos").glob("*.jpg"))]
FILTERS = ["nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"]
RESIZES: list[dict[str, Any]] = [
    {"shorterSide": 256},
    {"shorterSide": 40},
    {"shorterSide": 700},
    {"exact": [224, 224]},
    {"exact": [50, 300]},
    {"exact": [600, 90]},
    {"pad": [224, 224]},
    {"pad": [64, 500]},
]
LIMITS = Limits(formats=["jpeg", "png", "webp", "gif", "bmp", "tiff"])


ODD_SIZES = [(1, 1), (1, 7), (7, 1), (2, 2), (223, 223), (224, 224), (225, 223), (256, 256), (1, 5000), (5000, 1)]


def encode_as(photo: Image.Image, mode: str) -> bytes:
    """The photo in a file whose pixels have that mode."""
    if mode == "JPEG":
        return encode(photo, "JPEG", quality=80)
    if mode == "I;16":
        return encode(Image.fromarray(np.asarray(photo.convert("L")).astype(np.uint16) * 250 + 77))
    image = photo.convert(mode)
    if mode in {"RGBA", "LA"}:
        image.putalpha(photo.convert("L").rotate(180))
    return encode(image, "TIFF" if mode == "CMYK" else "PNG")


def assert_exact(content: bytes, preprocess: Preprocess) -> None:
    wanted, values = reference(content, preprocess)
    pixels = prepare_image(content, preprocess, LIMITS)
    np.testing.assert_array_equal(pixels, wanted)
    np.testing.assert_array_equal(normalise(pixels, preprocess)[0], values)


CASES = pair_up(
    {
        "resize": RESIZES,
        "crop": ["default", 1, 33, 40],
        "interpolation": FILTERS,
        "channels": ["RGB", "BGR", "L"],
        "layout": ["NCHW", "NHWC"],
        "mode": ["JPEG", "RGB", "L", "1", "P", "RGBA", "LA", "CMYK", "I;16"],
        "photo": [0, 1, 2],
        "background": ["white", "#102030"],
    }
)


def test_the_cases_hold_every_pair_and_far_fewer_than_all() -> None:
    assert {(case["mode"], case["interpolation"]) for case in CASES} == {
        (mode, name) for mode in {case["mode"] for case in CASES} for name in FILTERS
    }
    assert len(CASES) < 200


@pytest.mark.parametrize("case", CASES, ids=lambda case: "-".join(map(str, case.values())))
def test_photographs_give_pillows_pixels_whatever_is_asked_for(case: dict[str, Any]) -> None:
    asked = {name: value for name, value in case.items() if name not in {"photo", "mode", "crop"}}
    side = case["resize"].get("shorterSide", 224)
    crop = {"crop": 40 if side < 224 else None} if case["crop"] == "default" else {"crop": case["crop"]}
    assert_exact(encode_as(PHOTOS[case["photo"]], case["mode"]), Preprocess.model_validate(asked | crop))


@pytest.mark.parametrize("interpolation", FILTERS)
@pytest.mark.parametrize("size", ODD_SIZES, ids=str)
def test_odd_sizes_give_pillows_pixels(size: tuple[int, int], interpolation: str) -> None:
    resizes: list[dict[str, Any]] = [{"exact": [224, 224]}, {"pad": [224, 224]}]
    if max(size) < 5000:
        resizes.append({"shorterSide": 256})
    for resize in resizes:
        preprocess = Preprocess.model_validate({"resize": resize, "crop": 200, "interpolation": interpolation})
        assert_exact(encode(make_noise(size)), preprocess)


@pytest.mark.parametrize("interpolation", FILTERS)
@pytest.mark.parametrize("size", [(1, 5000), (5000, 1), (3, 5000)], ids=str)
def test_the_crop_of_a_long_thin_image_is_pillows(size: tuple[int, int], interpolation: str) -> None:
    asked = {"resize": {"shorterSide": 16}, "crop": 16, "interpolation": interpolation}
    assert_exact(encode(make_noise(size)), Preprocess.model_validate(asked))


SIDES = st.integers(1, 120)


@settings(max_examples=200, deadline=None)
@given(
    size=st.tuples(st.integers(1, 300), st.integers(1, 300)),
    resize=st.one_of(
        st.builds(lambda side: {"shorterSide": side}, SIDES),
        st.builds(lambda sides: {"exact": list(sides)}, st.tuples(SIDES, SIDES)),
        st.builds(lambda sides: {"pad": list(sides)}, st.tuples(SIDES, SIDES)),
    ),
    crop=st.floats(0, 1),
    interpolation=st.sampled_from(FILTERS),
    channels=st.sampled_from(["RGB", "BGR", "L"]),
    mode=st.sampled_from(["RGB", "L", "RGBA"]),
)
def test_any_geometry_gives_pillows_pixels(
    size: tuple[int, int], resize: dict[str, Any], crop: float, interpolation: str, channels: str, mode: str
) -> None:
    (sides,) = resize.values()
    side = max(1, round(crop * min(sides if isinstance(sides, list) else [sides])))
    asked = {"resize": resize, "crop": side, "interpolation": interpolation, "channels": channels}
    assert_exact(encode(make_noise(size, mode)), Preprocess.model_validate(asked))
