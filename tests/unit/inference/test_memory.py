"""What preparing an image takes: no more than its header lets expect, and nothing for what the crop leaves out."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.tiny_model import encode, make_noise

WIDE = (2400, 1600)
PEAK_MEMORY = Path(__file__).with_name("peak_memory.py")
SLACK = 2**20
"""What else a process may touch for the first time: code, and the allocator's own."""

LARGE_SLACK = 4 * SLACK
"""The same, where a decoder is loaded and the fork's own pages are written to."""


def measure(folder: Path, contents: list[bytes], preprocess: dict[str, Any], **environment: str) -> list[list[int]]:
    """Return each image's peak and its estimate, in bytes."""
    paths = [folder / str(number) for number in range(len(contents))]
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)
    # Memory that is freed goes back at once, and so counts again when it is taken again.
    environment |= {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
    command = [sys.executable, str(PEAK_MEMORY), json.dumps(preprocess), *map(str, paths)]
    ran = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return [[int(part) for part in line.split()] for line in ran.stdout.splitlines()]


@pytest.mark.parametrize("method", ["", "pillow"], ids=["kernel", "pillow"])
@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "lanczos"])
def test_a_long_thin_image_takes_no_more_than_a_small_square_one(
    tmp_path: Path, interpolation: str, method: str
) -> None:
    images = [encode(make_noise(size)) for size in ((224, 224), (1, 5000), (5000, 1))]
    peaks = measure(tmp_path, images, {"interpolation": interpolation}, CLASSIFIER_RESIZE=method)
    square, *thin = (peak for peak, _ in peaks)
    assert max(thin) <= square + SLACK


@pytest.mark.parametrize("asked", [{}, {"exif": "apply"}, {"channels": "L", "interpolation": "lanczos"}], ids=str)
def test_no_image_takes_more_than_its_header_lets_expect(tmp_path: Path, asked: dict[str, Any]) -> None:
    photo = make_noise((60, 40)).resize(WIDE)
    clear, grey, palette = photo.copy(), photo.convert("L"), photo.quantize(64)
    clear.putalpha(grey)
    wide = Image.fromarray(np.asarray(grey).astype(np.uint16) * 250)
    exif = Image.Exif()
    exif[0x0112] = 6
    files = {
        "jpeg": encode(photo, "JPEG", exif=exif),
        "progressive": encode(photo, "JPEG", exif=exif, progressive=True, subsampling=0),
        "progressive CMYK": encode(photo.convert("CMYK"), "JPEG", exif=exif, progressive=True),
        "grey": encode(grey, "JPEG", exif=exif),
        "png": encode(photo, exif=exif),
        "alpha": encode(clear, exif=exif),
        "grey alpha": encode(clear.convert("LA"), exif=exif),
        "palette": encode(palette, transparency=3),
        "16 bit": encode(wide, exif=exif),
        "16 bit transparent": encode(wide, transparency=250, exif=exif),
        "webp": encode(photo, "WEBP", exif=exif, method=0),
        "webp alpha": encode(clear, "WEBP", exif=exif, method=0),
        "gif": encode(palette, "GIF", transparency=3),
        "bmp": encode(photo, "BMP"),
        "tiff": encode(photo, "TIFF", exif=exif),
        "tiff strip": encode(clear, "TIFF", compression="tiff_lzw", strip_size=2**26),
    }
    for name, (peak, estimate) in zip(files, measure(tmp_path, list(files.values()), asked), strict=True):
        assert peak <= estimate + LARGE_SLACK, name
        assert estimate <= 4 * peak + LARGE_SLACK, name
