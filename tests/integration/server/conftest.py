"""Servers to ask, each a process of its own."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.integration.server.process import Server
from tests.tiny_model import make_image, write_document

Start = Callable[..., Server]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a server on a document with changes to its spec; it is ended with the test."""
    servers: list[Server] = []

    def start_one(*arguments: str | Path, environment: dict[str, str] | None = None, **changes: Any) -> Server:
        document = write_document(tmp_path, **changes)
        servers.append(Server(document, *arguments, **(environment or {})))
        return servers[-1]

    yield start_one
    for server in servers:
        server.kill()


@pytest.fixture(scope="session")
def image_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of images, with links and other things in it that must not be read."""
    folder = tmp_path_factory.mktemp("images")
    root = folder / "root"
    (root / "sub").mkdir(parents=True)
    (root / "red.png").write_bytes(make_image("red"))
    (root / "sub/blue.jpg").write_bytes(make_image("blue", kind="JPEG"))
    (root / "text.jpg").write_text("hello")
    (folder / "secret.png").write_bytes(make_image("red"))
    (root / "link-out.png").symlink_to(folder / "secret.png")
    (root / "link-out-to-nothing.png").symlink_to(folder / "nothing.png")
    os.mkfifo(root / "pipe")
    return root


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, image_root: Path) -> Iterator[Server]:
    """A server that many tests ask; whatever they send, it goes on serving."""
    limits = {"bytes": "1Mi", "formats": ["jpeg", "png", "webp", "tiff"]}
    document = write_document(tmp_path_factory.mktemp("server"), limits=limits)
    server = Server(document, IMAGE_ROOT=str(image_root), CLASSIFIER_ROOT_PATH="/api").wait_until_ready()
    yield server
    server.kill()


@pytest.fixture
def client(server: Server) -> Iterator[httpx2.Client]:
    """A client of that server, which must still serve when the test is over."""
    with server.client() as client:
        yield client
        answer = client.post("/api/v1/predict", content=make_image("red"))
        assert answer.json()["predictions"][0]["label"] == "red"
