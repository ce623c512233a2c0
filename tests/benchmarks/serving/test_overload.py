"""A server that is asked for twice what it gives, and a container whose clients send the largest images.

    pytest -s tests/benchmarks/serving/test_overload.py

Client and server share the machine: what the client takes, the server lacks. LOAD_SECONDS is how long each lasts.
"""

import asyncio
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from PIL import Image
from rich.console import Console

from models.sample import SHA256, ensure_built
from tests.benchmarks.serving.load import Measured, Target, ask_at_rate, ask_every, ask_from_clients, load_from_process
from tests.integration.prediction_log.stores import START_SECONDS, wait_until
from tests.integration.server.process import Server, free_port
from tests.tiny_model import encode, write_document

SECONDS = float(os.environ.get("LOAD_SECONDS", "60"))
IMAGE = os.environ.get("SERVER_IMAGE", "imageclassifier/server:0.1.0")
PREDICT = "/api/v1/predict"
PHOTO = Path("models/photos/cat.jpg").resolve()
CLIENTS = 64
QUEUE = 64
"""limits.queue's default."""
CONTAINER_MEMORY = "512m"
LARGE: dict[str, tuple[str, str, tuple[int, int], dict[str, bool]]] = {
    "JPEG": ("JPEG", "RGB", (8000, 6250), {}),
    "progressive JPEG": ("JPEG", "RGB", (5000, 4000), {"progressive": True}),
    "PNG with alpha": ("PNG", "RGBA", (4000, 3000), {}),
}
"""Images of 50 million pixels, limits.pixels' default, or as many as fit into that memory."""
QUEUE_SECONDS = 300.0
"""What a queue of such images may take on one core."""
PROMPT_MILLISECONDS = 20
"""What the p99 of refusals, and of probes, may be."""
KEPT = 0.9
"""The share of its throughput that overload must leave."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """EfficientNet-Lite0 behind the defaults."""
    folder = ensure_built(Console(quiet=True)).resolve() / "model"
    model = {
        "uri": f"file:{folder / 'model.onnx'}",
        "sha256": SHA256,
        "labels": {"uri": f"file:{folder / 'labels.txt'}"},
    }
    preprocess = {"interpolation": "bicubic", "scale": 1, "mean": [127, 127, 127], "std": [128, 128, 128]}
    document = write_document(tmp_path_factory.mktemp("server"), model=model, preprocess=preprocess)
    server = Server(document, CLASSIFIER_LOG_LEVEL="warning")
    wait_until(lambda: _is_ready(server.url), "the server to be ready", START_SECONDS)
    yield server
    server.kill()


def test_twice_what_it_gives_costs_nothing_but_refusals(server: Server) -> None:
    target = Target(server.url, PREDICT, PHOTO.read_bytes())

    async def measure() -> tuple[Measured, Measured, Measured]:
        await ask_from_clients(target, 8, 3)
        alone = await ask_from_clients(target, 8, SECONDS / 4)
        full = await ask_from_clients(target, CLIENTS, SECONDS / 4)
        return alone, full, await ask_at_rate(target, 2 * alone.throughput, SECONDS)

    alone, full, over = asyncio.run(measure())
    bound = 1000 * QUEUE / over.throughput + 3 * alone.milliseconds(0.5)
    print()
    print_figures("8 clients", alone, 200)
    print_figures(f"{CLIENTS} clients", full, 200)
    print_figures("twice that rate", over, 200, 429)
    print(f"throughput kept: {over.throughput / alone.throughput:.2f}; the p99 of answers may be {bound:.0f} ms")
    assert set(alone.counts) == set(full.counts) == {200}
    assert set(over.counts) == {200, 429}
    assert over.throughput >= KEPT * alone.throughput
    assert over.milliseconds(0.99, 429) < PROMPT_MILLISECONDS
    assert over.milliseconds(0.99) <= bound


def test_predictions_do_not_delay_the_probe(server: Server) -> None:
    load = load_from_process(server.url, [PHOTO], CLIENTS, SECONDS / 4)
    probed = asyncio.run(ask_every(Target(server.url, "/healthz"), 0.02, load))
    print()
    print_figures(f"/healthz beside {CLIENTS} clients", probed, 200)
    assert set(probed.counts) == {200}
    assert probed.milliseconds(0.99) < PROMPT_MILLISECONDS


@pytest.fixture
def container(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """The server's image with little memory and one core: (container, URL)."""
    write_document(tmp_path, model={"uri": "file:/spec/model.onnx", "labels": {"inline": ["red", "green", "blue"]}})
    tmp_path.chmod(0o755)
    port = free_port()
    limits = [f"--memory={CONTAINER_MEMORY}", f"--memory-swap={CONTAINER_MEMORY}", "--cpus=1", "--read-only"]
    command = [
        "docker",
        "run",
        "--detach",
        *limits,
        f"--volume={tmp_path}:/spec:ro",
        f"--publish=127.0.0.1:{port}:9000",
    ]
    done = subprocess.run(
        [*command, IMAGE, "serve", "/spec/classifier.json"], check=True, capture_output=True, text=True
    )
    name = done.stdout.strip()
    url = f"http://127.0.0.1:{port}"
    wait_until(lambda: _is_ready(url), "the container to be ready", START_SECONDS)
    yield name, url
    subprocess.run(["docker", "rm", "--force", name], check=True, capture_output=True)


def _is_ready(url: str) -> bool:
    try:
        return httpx2.get(f"{url}/readyz", timeout=30).status_code == 200
    except httpx2.TransportError:
        return False


@pytest.mark.parametrize("image", LARGE)
def test_a_container_outlives_the_largest_images(container: tuple[str, str], image: str) -> None:
    name, url = container
    kind, mode, (width, height), options = LARGE[image]
    content = encode(Image.new(mode, (width, height), (0, 0, 255, 128)[: len(mode)]), kind, **options)
    target = Target(url, PREDICT, content, silence_seconds=QUEUE_SECONDS)
    measured = asyncio.run(ask_from_clients(target, CLIENTS, SECONDS))
    state = json.loads(subprocess.run(["docker", "inspect", name], check=True, capture_output=True).stdout)[0]["State"]
    health = httpx2.get(f"{url}/api/v1/health", timeout=30).json()
    print()
    megapixels = f"{width * height / 1e6:.0f} megapixels of {image}"
    print_figures(f"{CLIENTS} clients, {megapixels}, {CONTAINER_MEMORY}", measured, 200, 429)
    print(f"afterwards: {health['memory']['used_bytes'] / 2**20:.0f} MiB used, {health['cpu']['count']} core")
    assert set(measured.counts) <= {200, 429}
    assert measured.counts[200] > 0
    assert (state["Running"], state["OOMKilled"], health["cpu"]["count"]) == (True, False, 1)


def print_figures(name: str, measured: Measured, *statuses: int) -> None:
    times = "; ".join(
        f"{measured.counts[status]} times {status}, p50 {measured.milliseconds(0.5, status):.1f} ms, "
        f"p99 {measured.milliseconds(0.99, status):.1f} ms"
        for status in statuses
    )
    print(f"{name}: {measured.throughput:.1f}/s; {times}")
