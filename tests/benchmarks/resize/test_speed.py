"""Resizing and cropping to 224: the kernel against Pillow's resize then crop, and Pillow without the kernel."""

import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image
from rich.console import Console
from rich.table import Table

from classifier_inference.images import resize
from classifier_inference.images.geometry import Geometry, Part, find_part, measure
from classifier_inference.spec.preprocessing import Preprocess

ROUNDS = 7
REPEATS = 20
LEAST_GAIN = 3
ASKED = Preprocess(interpolation="bilinear")


def time_rounds(ways: list[Callable[[], object]]) -> list[float]:
    """Return the median milliseconds of each way, timed in turns."""
    taken: list[list[float]] = [[] for _ in ways]
    for _ in range(ROUNDS):
        for times, way in zip(taken, ways, strict=True):
            started = time.perf_counter()
            for _ in range(REPEATS):
                way()
            times.append((time.perf_counter() - started) / REPEATS * 1000)
    return [statistics.median(times) for times in taken]


def resize_then_crop(photo: Image.Image, geometry: Geometry, part: Part) -> object:
    whole = photo.resize(geometry.resized, Image.Resampling.BILINEAR)
    return np.asarray(whole.crop((part.left, part.top, part.left + part.width, part.top + part.height)))


def test_the_kernel_is_much_faster_than_pillow() -> None:
    table = Table("photo", "Pillow, resize then crop", "Pillow, what the crop needs", "kernel", title="milliseconds")
    for width in (640, 1280):
        photo = Image.open(Path("models/photos/rocket.jpg")).convert("RGB").resize((width, width * 3 // 4))
        geometry = measure(photo.size, ASKED.resize)
        part = find_part(geometry, ASKED)
        resized = geometry.resized
        ways: list[Callable[[], object]] = [
            partial(resize_then_crop, photo, geometry, part),
            partial(resize.resize_by_pillow, photo, resized, part, ASKED.interpolation),
            partial(resize.resize_part, photo, resized, part, ASKED.interpolation, ASKED.channels),
        ]
        plain, boxed, kernel = time_rounds(ways)
        table.add_row(
            f"{photo.width}x{photo.height}",
            f"{plain:.2f}",
            f"{boxed:.2f} ({plain / boxed:.1f}x)",
            f"{kernel:.2f} ({plain / kernel:.1f}x)",
        )
        assert resize.METHOD == "avx2"
        assert plain / kernel > LEAST_GAIN
    Console(width=110).print(table)
