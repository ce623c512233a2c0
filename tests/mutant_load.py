"""Sends mutants to a server by every way that an image can come, and watches it."""

import base64
import json
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any

import httpx2
import psutil

from tests.integration.server.process import Server

FORMATS = ["jpeg", "png", "webp", "gif", "bmp", "tiff"]
SPEC: dict[str, Any] = {
    "limits": {"formats": FORMATS, "pixels": "4M", "memory": "256Mi"},
    "preprocess": {"resize": {"shorterSide": 9}, "crop": 8, "exif": "apply", "background": "#102030"},
}
"""Every format, and every step that looks at more of an image."""

EXPECTED = {200, 400, 413, 415, 422}


@dataclass
class Outcome:
    """What became of the mutants."""

    statuses: Counter[int] = field(default_factory=Counter)
    unexpected: list[bytes] = field(default_factory=list)
    """Mutants that were answered with no status that they should be."""
    resident: list[int] = field(default_factory=list)
    """The process's memory in bytes, every so many mutants."""


def send_mutants(server: Server, mutants: Iterable[bytes], sample_every: int) -> Outcome:
    """Return what became of them; fails where the server dies."""
    process = psutil.Process(server.process.pid)
    outcome = Outcome()
    with server.client() as client:
        for number, (content, post) in enumerate(zip(mutants, cycle(_WAYS), strict=False)):
            if number % sample_every == 0:
                outcome.resident.append(process.memory_info().rss)
            try:
                status = post(client, content).status_code
            except httpx2.TransportError as error:
                raise AssertionError(f"mutant {number} has no answer: {content.hex()}") from error
            outcome.statuses[status] += 1
            if status not in EXPECTED:
                outcome.unexpected.append(content)
    outcome.resident.append(process.memory_info().rss)
    assert server.process.poll() is None
    return outcome


def _post(client: httpx2.Client, content: bytes) -> httpx2.Response:
    return client.post("/api/v1/predict", content=content)


def _post_form(client: httpx2.Client, content: bytes) -> httpx2.Response:
    return client.post("/api/v1/predict", files={"file": content})


def _post_task(client: httpx2.Client, content: bytes) -> httpx2.Response:
    return client.post("/", json={"inputs": base64.b64encode(content).decode()})


def _post_tensor(client: httpx2.Client, content: bytes) -> httpx2.Response:
    element = len(content).to_bytes(4, "little") + content
    parameters = {"binary_data_size": len(element)}
    tensor = {"name": "image", "datatype": "BYTES", "shape": [1], "parameters": parameters}
    header = json.dumps({"inputs": [tensor]}).encode()
    headers = {"Inference-Header-Content-Length": str(len(header))}
    return client.post("/v2/models/colours/infer", content=header + element, headers=headers)


_WAYS: tuple[Callable[[httpx2.Client, bytes], httpx2.Response], ...] = (
    _post, _post, _post, _post_form, _post_task, _post_tensor,
)  # fmt: skip
