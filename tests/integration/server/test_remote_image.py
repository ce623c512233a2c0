"""The name of an image's host: resolved once, judged by all of its addresses, connected to at one of those."""

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from classifier_inference.spec.image_addresses import Images
from classifier_inference.stores.named_images import RemoteImages
from classifier_inference.stores.store_error import NotAllowedError
from tests.integration.server.https_server import send, serve_https
from tests.tiny_model import make_image

RED = make_image("red")
PUBLIC, PRIVATE, LINK_LOCAL = "93.184.215.14", "10.0.0.1", "169.254.169.254"

Resolve = Callable[..., list[str]]


@pytest.fixture
def resolve(monkeypatch: pytest.MonkeyPatch) -> Resolve:
    """Have a name lead to one list of addresses after another; returned is a list of the names asked for."""
    look_up = socket.getaddrinfo

    def begin(name: str, *answers: list[str]) -> list[str]:
        asked: list[str] = []

        def answer(host: str, port: int, *arguments: Any, **options: Any) -> list[Any]:
            if host.replace(".", "").isdigit():
                return look_up(host, port, *arguments, **options)
            asked.append(host)
            assert host == name
            addresses = answers[min(len(asked), len(answers)) - 1]
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

        monkeypatch.setattr(socket, "getaddrinfo", answer)
        return asked

    return begin


def fetch(url: str, ca_file: Path | None = None, **images: Any) -> bytes:
    fetcher = RemoteImages(Images.model_validate(images), 2**20, ca_file, {})
    return fetcher.fetch(url, lambda count: None, {})


def test_a_name_is_resolved_once_and_what_was_judged_is_connected_to(tmp_path: Path, resolve: Resolve) -> None:
    with serve_https(tmp_path) as server:
        server.answers["/red.png"] = send(RED)
        host = server.url.removeprefix("https://")
        asked = resolve("localhost", ["127.0.0.1"], ["127.0.0.2"])
        assert fetch(f"{server.url}/red.png", server.ca_file, allow=[host], private=[host]) == RED
    assert asked == ["localhost"]


@pytest.mark.parametrize(
    ("addresses", "private"),
    [
        ([PUBLIC, PRIVATE], []),
        ([PRIVATE, PUBLIC], []),
        ([PUBLIC, LINK_LOCAL], ["photos.test"]),
        ([PRIVATE, LINK_LOCAL], ["photos.test"]),
    ],
)
def test_one_private_address_among_several_refuses_the_name(
    resolve: Resolve, monkeypatch: pytest.MonkeyPatch, addresses: list[str], private: list[str]
) -> None:
    asked = resolve("photos.test", addresses)
    connected: list[object] = []
    monkeypatch.setattr(socket, "create_connection", lambda address, *_, **__: connected.append(address))
    with pytest.raises(NotAllowedError, match=r"photos\.test has an address that is not public"):
        fetch("https://photos.test/red.png", allow=["photos.test"], private=private)
    assert (asked, connected) == (["photos.test"], [])
