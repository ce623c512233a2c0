"""Runs a build of resample.c against Pillow on random geometries, and prints how it resizes.

`python sanitized_resize.py EXTENSION COUNT`: under sanitizers that end the process where they find something.
"""

import random
import sys
from importlib.machinery import ExtensionFileLoader
from importlib.util import module_from_spec, spec_from_loader
from typing import Any

import numpy as np
from PIL import Image, _imaging

FILTERS = ["nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"]


def load(path: str) -> Any:
    """Return the extension module at a path."""
    spec = spec_from_loader("resample", ExtensionFileLoader("resample", path))
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def pick_side(rng: random.Random) -> int:
    """Return a length: most often small, at times around what the vector code takes at once, seldom long."""
    return rng.choice([rng.randint(1, 12), rng.randint(1, 70), rng.randint(1, 300), rng.choice([1, 900, 2500])])


def check_one(kernel: Any, rng: random.Random) -> None:
    """Compare one random part of one random resizing."""
    name, mode = rng.choice(FILTERS), rng.choice(["RGB", "RGBX", "L"])
    size, resized = ((pick_side(rng), pick_side(rng)) for _ in range(2))
    shape = (size[1], size[0]) if mode == "L" else (size[1], size[0], 3)
    values = np.random.default_rng(rng.getrandbits(32)).integers(0, 256, shape, np.uint8)
    image = Image.fromarray(values * rng.choice([1, 255])).convert(mode)
    left, top = rng.randrange(resized[0]), rng.randrange(resized[1])
    width, height = rng.randint(1, resized[0] - left), rng.randint(1, resized[1] - top)
    whole = np.asarray(image.convert("RGB").resize(resized, Image.Resampling[name.upper()]))
    wanted, backwards = whole[top : top + height, left : left + width], rng.random() < 0.5
    out = np.empty((height, width, 3), np.uint8)
    pixels = image.__arrow_c_array__()[1]  # type: ignore[no-untyped-call, unused-ignore]
    kernel.resize_part(pixels, size, resized, (left, top, width, height), name, out, backwards)
    if not np.array_equal(out, wanted[:, :, ::-1] if backwards else wanted):
        raise AssertionError(f"{name} {mode} {size} -> {resized}: {left, top, width, height}")


def main(path: str, count: int) -> None:
    """Compare so many; the same ones each time."""
    _imaging.set_block_size(2**31 - 2**12)
    kernel = load(path)
    for seed in range(count):
        check_one(kernel, random.Random(seed))
    sys.stdout.write(f"{kernel.INSTRUCTIONS}\n")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
