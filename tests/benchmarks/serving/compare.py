"""This server beside others, over the same photographs, in alternating rounds.

    python -m tests.benchmarks.serving.compare                                     # eleven minutes
    python -m tests.benchmarks.serving.compare --rounds 2 --seconds 2 --models large

On a machine that does nothing else. Load and servers share it: what the load takes, each server lacks.
"""

import argparse
import asyncio
import json
import signal
import statistics
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from PIL import Image
from rich.console import Console
from rich.table import Table

from models.mobilenet_v3 import make_folder, seed_weights, write_model
from models.mobilenet_v3_layout import ARCHITECTURES
from models.sample import ensure_built
from tests.benchmarks.serving.contestants import (
    CORES,
    Contestant,
    HttpContestant,
    PipelineContestant,
    Served,
    start_litserve,
    start_naive,
    start_ours,
)
from tests.benchmarks.serving.load import Target, ask_every, load_from_process
from tests.benchmarks.serving.plain import Preprocess
from tests.tiny_model import encode

CLIENTS = 8
PROBED_CLIENTS = 64
WARM_SECONDS = 1.0
STARTS = 5
WIDTHS = (640, 1280)
PHOTOS = sorted(Path("models/photos").glob("*.jpg"))
OURS, OURS_PILLOW, ALONE, LITSERVE, NAIVE = "this server", "… without the kernel", "no HTTP", "LitServe", "FastAPI"
MODELS = {"large": "MobileNetV3-Large", "small": "MobileNetV3-Small", "lite0": "EfficientNet-Lite0"}
TORCHVISION = Preprocess(256, 224, "bilinear", 255, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
LITE0 = Preprocess(256, 224, "bicubic", 1, [127.0] * 3, [128.0] * 3)

BARS = {
    "large": {"kernel": 2.0, "pillow": 1.6, "alone": 0.85},
    "small": {"kernel": 2.4, "pillow": 1.5, "alone": 0.8},
}
"""The least ratios of throughput: to LitServe with and without the kernel, and to the pipeline with no HTTP."""
MOST_P99_TO_P50 = 2.0
MOST_MEGABYTES = 200.0
MOST_SECONDS_TO_READY = 2.0
MOST_PROBE_MILLISECONDS = 20.0
BEYOND = 3
"""Another exit status than that of an error."""


@dataclass
class Figures:
    """One contestant's rounds."""

    throughput: list[float] = field(default_factory=list)
    p50: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    """Milliseconds of processor time an image."""
    megabytes: float = 0
    seconds_to_ready: float = 0


def make_photos(folder: Path) -> list[Path]:
    """Write the catalogue's photographs in both widths as JPEG; return their paths."""
    paths = []
    for photo in PHOTOS:
        for width in WIDTHS:
            image = Image.open(photo).convert("RGB")
            resized = image.resize((width, round(image.height * width / image.width)), Image.Resampling.LANCZOS)
            paths.append(folder / f"{photo.stem}-{width}.jpg")
            paths[-1].write_bytes(encode(resized, "JPEG", quality=85))
    return paths


def make_served(key: str, folder: Path) -> Served:
    """Build a model, and write its document."""
    if key == "lite0":
        model, preprocess = ensure_built(Console(quiet=True)) / "model" / "model.onnx", LITE0
    else:
        architecture = ARCHITECTURES[key]
        model = write_model(architecture, seed_weights(architecture, 0), make_folder(architecture, 0))
        preprocess = TORCHVISION
    fields = asdict(preprocess)
    spec = {
        "model": {"uri": f"file:{model}", "labels": {"uri": f"file:{model.with_name('labels.txt')}"}},
        "preprocess": {"resize": {"shorterSide": fields.pop("side")}, **fields},
    }
    document = folder / f"{key}.json"
    kind = {"apiVersion": "imageclassifier.dev/v1alpha1", "kind": "ImageClassifier", "metadata": {"name": key}}
    document.write_text(json.dumps({**kind, "spec": spec}))
    return Served(MODELS[key], model, preprocess, document)


@contextmanager
def started(served: Served, images: list[Path], folder: Path) -> Iterator[list[Contestant]]:
    """Start all contestants, one after the other, and have them wait."""
    contents = [image.read_bytes() for image in images]
    contestants: list[Contestant] = []
    try:
        contestants.append(start_ours(OURS, served, contents, folder / "ours.log"))
        contestants.append(start_ours(OURS_PILLOW, served, contents, folder / "pillow.log", CLASSIFIER_RESIZE="pillow"))
        contestants.append(PipelineContestant(ALONE, served, images, folder / "alone.log"))
        contestants.append(start_litserve(LITSERVE, served, contents, folder / "litserve.log"))
        contestants.append(start_naive(NAIVE, served, contents, folder / "naive.log"))
        yield contestants
    finally:
        for contestant in contestants:
            contestant.kill()


def measure_rounds(contestants: list[Contestant], rounds: int, seconds: float) -> dict[str, Figures]:
    """Measure each in turn, round by round; every other round the other way round."""
    figures = {contestant.name: Figures() for contestant in contestants}
    for number in range(rounds):
        for contestant in contestants if number % 2 == 0 else reversed(contestants):
            found = figures[contestant.name]
            with contestant.awake():
                contestant.measure(CLIENTS, WARM_SECONDS)
                before = contestant.measure_cpu()
                measured = contestant.measure(CLIENTS, seconds)
                found.cpu.append(1000 * (contestant.measure_cpu() - before) / measured.counts[200])
                found.megabytes = max(found.megabytes, contestant.measure_memory() / 1e6)
            found.throughput.append(measured.throughput)
            found.p50.append(measured.milliseconds(0.5))
            found.p99.append(measured.milliseconds(0.99))
            found.seconds_to_ready = contestant.seconds_to_ready
    return figures


def measure_start(served: Served, images: list[Path], folder: Path) -> float:
    """Return the median of the seconds from the process's start to the first answer."""
    contents = [image.read_bytes() for image in images]
    seconds = []
    for _ in range(STARTS):
        contestant = start_ours(OURS, served, contents, folder / "start.log")
        seconds.append(contestant.seconds_to_ready)
        contestant.kill()
    return statistics.median(seconds)


def measure_probe(contestant: Contestant, images: list[Path], seconds: float) -> float:
    """Return the p99 of /healthz in milliseconds while many clients ask for predictions."""
    assert isinstance(contestant, HttpContestant)
    with contestant.awake():
        load = load_from_process(contestant.url, images, PROBED_CLIENTS, seconds)
        probed = asyncio.run(ask_every(Target(contestant.url, "/healthz"), 0.02, load))
    return probed.milliseconds(0.99)


def make_table(title: str, figures: dict[str, Figures]) -> Table:
    """Return the medians."""
    table = Table("", "images/s", "p50 ms", "p99 ms", "CPU ms an image", "MB resident", "s to ready", title=title)
    for name, found in figures.items():
        medians = [statistics.median(values) for values in (found.throughput, found.p50, found.p99, found.cpu)]
        table.add_row(
            name, *(f"{value:.1f}" for value in medians), f"{found.megabytes:.0f}", f"{found.seconds_to_ready:.1f}"
        )
    return table


def judge(key: str, figures: dict[str, Figures]) -> list[tuple[str, float, str, float]]:
    """Return (what, value, comparison, bar): ratios are medians of each round's own ratio."""

    def ratio(name: str, other: str) -> float:
        pairs = zip(figures[name].throughput, figures[other].throughput, strict=True)
        return statistics.median(one / two for one, two in pairs)

    ours, bars = figures[OURS], BARS[key]
    judged = [
        ("to LitServe, with the kernel", ratio(OURS, LITSERVE), ">=", bars["kernel"]),
        ("to LitServe, without the kernel", ratio(OURS_PILLOW, LITSERVE), ">=", bars["pillow"]),
        ("to the pipeline with no HTTP", ratio(OURS, ALONE), ">=", bars["alone"]),
        ("p99 to p50", statistics.median(ours.p99) / statistics.median(ours.p50), "<", MOST_P99_TO_P50),
        (f"seconds to ready, median of {STARTS} starts", ours.seconds_to_ready, "<", MOST_SECONDS_TO_READY),
    ]
    if key == "large":
        judged.append(("MB resident", ours.megabytes, "<", MOST_MEGABYTES))
    return judged


def main() -> int:
    """Run from the command line; return the exit status: BEYOND where a figure is beyond its bar."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=6, help="how long each is measured in each round")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what was started, and stopped, is killed
    console, kept = Console(), True
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        images = make_photos(folder)
        sizes = ", ".join(f"{image.stem} {image.stat().st_size // 1000} kB" for image in images)
        console.print(f"{CORES} cores, {CLIENTS} clients, {given.rounds} rounds of {given.seconds:g} s; {sizes}")
        for key in given.models:
            served = make_served(key, folder)
            with started(served, images, folder) as contestants:
                figures = measure_rounds(contestants, given.rounds, given.seconds)
                figures[OURS].seconds_to_ready = measure_start(served, images, folder)
                probe = measure_probe(contestants[0], images, given.seconds)
            console.print(make_table(served.name, figures))
            judged = [] if key not in BARS else judge(key, figures)
            judged.append((f"p99 ms of /healthz beside {PROBED_CLIENTS} clients", probe, "<", MOST_PROBE_MILLISECONDS))
            for what, value, comparison, bar in judged:
                passes = value >= bar if comparison == ">=" else value < bar
                kept = kept and passes
                console.print(f"{'pass' if passes else 'FAIL'}  {what}: {value:.2f} ({comparison} {bar:g})")
    return 0 if kept else BEYOND


if __name__ == "__main__":
    sys.exit(main())
