"""What requests in flight may hold in memory, and how much an image takes."""

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from classifier_inference.engine.malloc import TRIMMED_BYTES
from classifier_inference.engine.memory import Memory, MemoryFullError, NeverFitsError, decide_limit

MIB = 2**20


@pytest.mark.parametrize(
    ("asked", "container", "wanted"),
    [
        (300, 512, 300),
        (None, 512, 512 - 100 - 52),
        (None, 120, 16),
        (None, None, 4000),
    ],
    ids=["as asked", "what the container leaves", "never less than small images need", "half a machine without limits"],
)
def test_the_limit_is_what_is_asked_for_or_what_is_left(asked: int | None, container: int | None, wanted: int) -> None:
    limit = decide_limit(asked and asked * MIB, container and container * MIB, machine=8000 * MIB, held=100 * MIB)
    assert limit // MIB == wanted


def test_bodies_are_counted_and_leave_room_for_pixels() -> None:
    memory = Memory(1000)
    with memory.hold_body() as first, memory.hold_body() as second:
        first.grow(200)
        with pytest.raises(MemoryFullError):
            second.grow(51)
        second.grow(50)
        assert memory.used == 250
        with memory.hold_pixels(750):
            assert memory.used == 1000
    assert memory.used == 0


def test_what_could_never_fit_is_refused_with_the_numbers() -> None:
    memory = Memory(1000)
    with (
        memory.hold_body() as body,
        pytest.raises(NeverFitsError, match=r"takes 251 bytes of memory, and bodies have 250"),
    ):
        body.grow(251)
    with pytest.raises(NeverFitsError, match="takes 751 bytes of memory, and there are 750"), memory.hold_pixels(751):
        pass
    assert memory.used == 0


def test_pixels_wait_for_their_turn_and_the_small_do_not_overtake_the_large() -> None:
    memory = Memory(1000)
    order: list[int] = []
    waiting = threading.Event()

    def hold(size: int) -> None:
        with memory.hold_pixels(size):
            order.append(size)

    with ThreadPoolExecutor(2) as threads:
        with memory.hold_pixels(500):
            large = threads.submit(hold, 600)
            while not memory._waiting:
                waiting.wait(0.001)
            small = threads.submit(hold, 100)
            while len(memory._waiting) < 2:
                waiting.wait(0.001)
            assert order == []
        large.result(10)
        small.result(10)
    assert order == [600, 100]
    assert memory.used == 0


MEASURE = """
import re, sys
from contextlib import contextmanager
from classifier_inference.engine.malloc import tame_malloc
tame_malloc()
from PIL import Image
from classifier_inference.images.preprocess import decode_image
from classifier_inference.images.sniff import sniff
from classifier_inference.spec.limits import Limits
from classifier_inference.spec.preprocessing import Preprocess
from tests.tiny_model import encode

def read(name):
    with open("/proc/self/status") as status:
        return int(re.search(rf"{name}:\\s+(\\d+)", status.read())[1]) * 1024

@contextmanager
def hold(size):
    global held
    held = size
    yield

mode, kind, exif, options = sys.argv[1], sys.argv[2], sys.argv[3], eval(sys.argv[4])
limits = Limits(formats=["jpeg", "png", "webp", "tiff"])
preprocess = Preprocess(exif=exif)
colour = {"RGB": (9, 200, 30), "RGBA": (9, 200, 30, 99)}.get(mode, 0)
decode_image(sniff(encode(Image.new(mode, (8, 8), colour), kind, **options)), preprocess, limits)
content = encode(Image.new(mode, (5000, 3000), colour), kind, **options)
with open("/proc/self/clear_refs", "w") as refs:
    refs.write("5")
before = read("VmRSS")
decode_image(sniff(content), preprocess, limits, hold)
print(held, read("VmHWM") - before, read("VmRSS") - before)
"""
"""Decodes an image of 15 million pixels; prints what it was said to take, what it took, and what stayed taken."""


@pytest.mark.parametrize(
    ("mode", "kind", "exif", "options"),
    [
        ("RGB", "JPEG", "ignore", {}),
        ("RGB", "JPEG", "apply", {}),
        ("RGB", "JPEG", "ignore", {"progressive": True, "subsampling": 0}),
        ("CMYK", "JPEG", "ignore", {}),
        ("RGB", "PNG", "ignore", {}),
        ("RGBA", "PNG", "ignore", {}),
        ("P", "PNG", "ignore", {}),
        ("I;16", "PNG", "ignore", {}),
        ("RGB", "WEBP", "ignore", {"method": 0}),
        ("RGBA", "WEBP", "ignore", {"method": 0}),
        ("RGB", "TIFF", "ignore", {"compression": "tiff_lzw"}),
    ],
)
def test_an_image_takes_no_more_memory_than_it_is_counted_with_and_leaves_none(
    mode: str, kind: str, exif: str, options: dict[str, object]
) -> None:
    command = [sys.executable, "-c", MEASURE, mode, kind, exif, repr(options)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    counted, taken, left = map(int, done.stdout.split())
    assert taken <= counted * 1.05
    assert counted <= taken * 2.5
    assert left < TRIMMED_BYTES + 8 * MIB
