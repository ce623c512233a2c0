"""What the server's protocol and its end lean on in Uvicorn, beyond what Uvicorn promises to keep."""

import asyncio
import hashlib
import inspect
import textwrap
from collections.abc import Callable
from typing import Any

import pytest
import uvicorn
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

LEANED_ON: list[tuple[Callable[..., Any], str]] = [
    (HttpToolsProtocol.connection_made, "ba1915817ccf6c1b"),
    (HttpToolsProtocol.connection_lost, "21bb5222b35990e7"),
    (HttpToolsProtocol.data_received, "02c2572f1df55907"),
    (HttpToolsProtocol.on_message_begin, "0efab6f9456c4987"),
    (HttpToolsProtocol.on_header, "374f1e380c062750"),
    (HttpToolsProtocol.on_headers_complete, "7e259152e5aade71"),
    (HttpToolsProtocol.on_body, "415b4cef19fba083"),
    (HttpToolsProtocol.on_message_complete, "377f9122ee6f3ab8"),
    (HttpToolsProtocol.on_response_complete, "5684fd801d0683ac"),
    (HttpToolsProtocol.timeout_keep_alive_handler, "2127de00e7f6b118"),
    (HttpToolsProtocol._unset_keepalive_if_required, "58f4ffce604d92dd"),
    (RequestResponseCycle.send, "cfc84491029529db"),
    (RequestResponseCycle.receive, "817bd782de41bd0a"),
    (uvicorn.Server.handle_exit, "b31a1f2364655748"),
    (uvicorn.Server.startup, "61dd959a73fc3de8"),
    (uvicorn.Server.on_tick, "371ccecb27e5e5d4"),
]
"""What is overridden or called, and the beginning of its source's SHA-256."""

OF_A_CONNECTION = {
    "app_state", "cycle", "headers", "loop", "parser", "pipeline", "timeout_keep_alive", "timeout_keep_alive_task",
    "transport",
}  # fmt: skip
OF_A_REQUEST = {"keep_alive", "more_body", "response_complete", "response_started"}


@pytest.mark.parametrize(("part", "digest"), LEANED_ON, ids=[part.__qualname__ for part, _ in LEANED_ON])
def test_what_is_overridden_is_what_was_read(part: Callable[..., Any], digest: str) -> None:
    source = textwrap.dedent(inspect.getsource(part))
    found = hashlib.sha256(source.encode()).hexdigest()[: len(digest)]
    assert found == digest, f"Uvicorn's {part.__qualname__} changed: read it beside http/protocol.py and draining.py"


@pytest.mark.parametrize("name", sorted(OF_A_CONNECTION))
async def test_a_connection_has_what_is_read_of_it(name: str) -> None:
    config = uvicorn.Config(lambda: None, ws="none", lifespan="off")
    assert hasattr(HttpToolsProtocol(config, ServerState(), {}, asyncio.get_running_loop()), name)


@pytest.mark.parametrize("name", sorted(OF_A_REQUEST))
def test_a_request_has_what_is_read_of_it(name: str) -> None:
    assert f"self.{name} " in inspect.getsource(RequestResponseCycle.__init__)


def test_status_lines_are_bytes_by_their_number() -> None:
    assert STATUS_LINE[400] == b"HTTP/1.1 400 Bad Request\r\n"
