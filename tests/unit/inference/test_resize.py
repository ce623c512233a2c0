"""What resizes: the native kernel, exact and within its memory; and Pillow where there is none."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

from classifier_inference.images import resize
from classifier_inference.images.geometry import find_part, measure
from classifier_inference.images.resize import choose_method, resize_by_pillow
from classifier_inference.spec.preprocessing import Preprocess, Resize
from tests.tiny_model import make_noise

ROOT = Path(__file__).resolve().parents[3]
SOURCE = ROOT / "inference/classifier_inference/images/resample.c"
SCRIPT = Path(__file__).with_name("sanitized_resize.py")
GEOMETRIES = 500
MOST_OFF = 0.0002
ODD_SIZES = [(1, 1), (1, 7), (7, 1), (2, 2), (223, 223), (224, 224), (225, 223), (1, 5000), (5000, 1)]
FILTERS = ["box", "bilinear", "hamming", "bicubic", "lanczos"]


@pytest.fixture
def compiler() -> str:
    """The C compiler; where everything has to be tested, its absence is a failure."""
    found = shutil.which("cc")
    if found is None and os.environ.get("END_TO_END") == "required":
        pytest.fail("there is no C compiler here: the kernel can't be built, nor tested")
    return found or pytest.skip("there is no C compiler here: THE RESIZE KERNEL IS NOT TESTED")


def test_the_kernel_is_built_where_there_is_a_compiler(compiler: str) -> None:
    assert resize.HAS_KERNEL
    ran = subprocess.run([Path(sys.executable).with_name("classifier"), "--version"], capture_output=True, check=True)
    assert ran.stdout.decode() == f"classifier 0.1.0 (resize: {resize.METHOD})\n"
    if "avx2" in read_cpu_flags():
        assert resize.METHOD == "avx2"


def read_cpu_flags() -> str:
    path = Path("/proc/cpuinfo")
    return path.read_text() if path.exists() else ""


@pytest.mark.parametrize(
    ("wanted", "instructions", "method"),
    [("", "avx2", "avx2"), ("", "portable", "portable"), ("", None, "pillow"), ("pillow", "avx2", "pillow")],
)
def test_the_kernel_resizes_unless_it_is_missing_or_unwanted(
    wanted: str, instructions: str | None, method: str
) -> None:
    assert choose_method(wanted, instructions) == method


@pytest.mark.parametrize("options", [[], ["-DPORTABLE"]], ids=["vector", "portable"])
def test_any_geometry_is_pillows_under_sanitizers(tmp_path: Path, compiler: str, options: list[str]) -> None:
    extension = tmp_path / "resample.so"
    flags = ["-std=c11", "-O1", "-g", "-ffp-contract=off", "-D_GNU_SOURCE", "-DPy_LIMITED_API=0x030B0000", "-Werror"]
    checks = ["-Wall", "-Wextra", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", *options]
    include = f"-I{sysconfig.get_path('include')}"
    command = [compiler, *flags, *checks, include, "-shared", "-fPIC", str(SOURCE), "-o", str(extension), "-lm"]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    library = subprocess.run([compiler, "-print-file-name=libasan.so"], capture_output=True, text=True, check=True)
    environment = {
        "LD_PRELOAD": library.stdout.strip(),
        "ASAN_OPTIONS": "detect_leaks=0",  # Python's own, at its end
        "PYTHONMALLOC": "malloc",
    }
    ran = subprocess.run(
        [sys.executable, str(SCRIPT), str(extension), str(GEOMETRIES)],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip() == ("avx2" if not options and "avx2" in read_cpu_flags() else "portable")


@pytest.mark.parametrize("interpolation", FILTERS)
def test_pillow_without_the_kernel_is_one_off_in_few_values(interpolation: str) -> None:
    off = values = 0
    for path in sorted((ROOT / "models/photos").glob("*.jpg")):
        for width in (640, 1280):
            photo = Image.open(path).convert("RGB")
            photo = photo.resize((width, width * photo.height // photo.width))
            for side, crop in ((256, 224), (232, 224), (320, 300)):
                asked = Preprocess.model_validate(
                    {"resize": {"shorterSide": side}, "crop": crop, "interpolation": interpolation}
                )
                geometry = measure(photo.size, asked.resize)
                part = find_part(geometry, asked)
                box = part.left, part.top, part.left + crop, part.top + crop
                whole = photo.resize(geometry.resized, Image.Resampling[interpolation.upper()])
                wanted = np.asarray(whole.crop(box)).astype(int)
                difference = np.abs(resize_by_pillow(photo, geometry.resized, part, interpolation) - wanted)
                assert difference.max() <= 1
                off += int(np.count_nonzero(difference))
                values += difference.size
    assert off <= MOST_OFF * values


@pytest.mark.parametrize("interpolation", ["nearest", "box"])
def test_pillow_without_the_kernel_is_exact_where_pixels_are_not_faded(interpolation: str) -> None:
    photos = [Image.open(path).convert("RGB") for path in sorted((ROOT / "models/photos").glob("*.jpg"))]
    for image in (*photos, *map(make_noise, ODD_SIZES)):
        for resized in ({"shorterSide": 256}, {"exact": [224, 224]}, {"pad": [300, 4096]}, {"exact": [231, 4096]}):
            asked = Preprocess.model_validate({"resize": resized, "crop": 200, "interpolation": interpolation})
            geometry = measure(image.size, asked.resize)
            part = find_part(geometry, asked)
            if max(geometry.resized) > 4096:
                continue
            box = part.left, part.top, part.left + part.width, part.top + part.height
            wanted = image.resize(geometry.resized, Image.Resampling[interpolation.upper()]).crop(box)
            np.testing.assert_array_equal(resize_by_pillow(image, geometry.resized, part, interpolation), wanted)


def test_resizing_keeps_no_memory() -> None:
    image, process = Image.new("RGB", (640, 480)), psutil.Process()
    asked = Preprocess(resize=Resize(shorter_side=256))
    geometry = measure(image.size, asked.resize)
    part = find_part(geometry, asked)
    for _ in range(50):
        resize.resize_part(image, geometry.resized, part, "lanczos", "RGB")
    before = process.memory_info().rss
    for _ in range(500):
        resize.resize_part(image, geometry.resized, part, "lanczos", "RGB")
    assert process.memory_info().rss - before < 2**22


def test_what_does_not_fit_together_is_refused(compiler: str) -> None:
    from classifier_inference.images import resample

    pixels = Image.new("RGB", (4, 4)).__arrow_c_array__()[1]  # type: ignore[no-untyped-call, unused-ignore]
    out = bytearray(2 * 2 * 3)
    with pytest.raises(ValueError, match="lies outside the resized image"):
        resample.resize_part(pixels, (4, 4), (8, 8), (7, 0, 2, 2), "box", out, False)
    with pytest.raises(ValueError, match="the output has to hold"):
        resample.resize_part(pixels, (4, 4), (8, 8), (0, 0, 2, 3), "box", out, False)
    with pytest.raises(ValueError, match="doesn't hold"):
        resample.resize_part(pixels, (4, 5), (8, 8), (0, 0, 2, 2), "box", out, False)
    with pytest.raises(ValueError, match="no filter called blur"):
        resample.resize_part(pixels, (4, 4), (8, 8), (0, 0, 2, 2), "blur", out, False)
    with pytest.raises(ValueError, match="one byte a pixel"):
        resample.resize_part(pixels, (4, 4), (8, 8), (0, 0, 2, 2), "box", bytearray(4), False)
