"""HTTP/1.1 (RFC 9110, RFC 9112) over Uvicorn's httptools protocol, and what that leaves open.

It waits for a request's headers for ever and takes any number of them, tells nobody that a client has left, says in
plain text what is no HTTP, and sends an answer's head by itself.

The time that a body may take is the application's to watch, in middleware.py, whatever parses HTTP.
"""

import asyncio
from collections.abc import Callable
from typing import Any, cast

import httptools
import structlog
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from classifier_inference.http.leaving import STATE_KEY, Client
from classifier_inference.http.middleware import HELD_UP_SECONDS
from classifier_inference.http.problem import Kind, ProblemError, render_problem

MOST_HEAD_BYTES = 64 * 2**10
"""Of a request's line and headers, of a chunk's extensions, of trailers. What comes at once may be twice as much."""

_log = structlog.get_logger("request")


def make_protocol(header_seconds: float, new_request_id: Callable[[], str]) -> type[asyncio.Protocol]:
    """Return a protocol for Uvicorn that gives a request's headers so many seconds from their first byte.

    Between requests a connection may be silent for `timeout_keep_alive`, a new one before its first request as well.
    """

    class Protocol(_Protocol):
        _header_seconds = header_seconds
        _new_request_id = staticmethod(new_request_id)

    return Protocol


class _Protocol(HttpToolsProtocol):
    _header_seconds: float
    _new_request_id: Callable[[], str]
    _header_timer: asyncio.TimerHandle | None = None
    _client: Client
    _head_bytes = 0
    _is_in_head = False
    _is_broken = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        super().connection_made(cast("asyncio.Transport", _GatheringTransport(transport, self.loop)))
        self._client = Client()
        self.app_state = {**self.app_state, STATE_KEY: self._client}
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    def connection_lost(self, exc: Exception | None) -> None:
        """End it all."""
        self._stop_header_timer()
        self._unset_keepalive_if_required()
        super().connection_lost(exc)
        self._client.leave()

    def data_received(self, data: bytes) -> None:
        """Read on, in pieces that can be counted, unless what came before could not be read."""
        self._unset_keepalive_if_required()
        whole = memoryview(data)
        for begin in range(0, len(data), MOST_HEAD_BYTES):
            self._feed(whole[begin : begin + MOST_HEAD_BYTES])

    def on_message_begin(self) -> None:
        """Begin to time the headers."""
        super().on_message_begin()
        self._is_in_head = True
        self._start_header_timer()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; leave trailers out."""
        if self._is_in_head:
            super().on_header(name, value.rstrip(b" \t"))

    def on_headers_complete(self) -> None:
        """Begin to answer. Raises ProblemError for what the parser lets through and HTTP/1.1 does not."""
        self._is_in_head = False
        self._head_bytes = 0
        self._stop_header_timer()
        _require_proper(self.parser.get_http_version(), self.headers)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body."""
        self._head_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Note that the body is whole."""
        self._head_bytes = 0
        super().on_message_complete()

    def _feed(self, data: memoryview) -> None:
        self._head_bytes += len(data)
        while len(data) > 0 and not self._is_broken:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                data = data[upgrade.args[0] :]  # a server may go on as if nobody had asked for it (RFC 9110, 7.8)
            except httptools.HttpParserError as error:
                found = error.__context__
                self._break_off(found if isinstance(found, ProblemError) else _malformed(f"this is no HTTP: {error}"))
            else:
                break
        if self._head_bytes > MOST_HEAD_BYTES and not self._is_broken:
            self._break_off(_malformed(f"a request's line and headers may have {MOST_HEAD_BYTES} bytes"))

    def _break_off(self, problem: ProblemError) -> None:
        """Refuse what can't be read on, after the answers to what came before it."""
        self._is_broken = True
        if self._is_answering and not self.cycle.more_body:
            self.cycle.keep_alive = False
        else:
            self._refuse(problem)

    def _end_waiting(self) -> None:
        assert self._header_timer is not None  # noqa: S101 - it is what calls
        if self._is_answering or self.loop.time() - self._header_timer.when() > HELD_UP_SECONDS:
            self._start_header_timer()
            return
        detail = f"the headers have to come within {self._header_seconds:g} s"
        self._refuse(ProblemError(Kind.REQUEST_TIMEOUT, detail))

    @property
    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _refuse(self, problem: ProblemError) -> None:
        """Answer, if it can still be done, and close."""
        if self.transport.is_closing():
            return
        if not self._is_answering or not (self.cycle.response_started or self.pipeline):
            request_id = self._new_request_id()
            answer = render_problem(problem, request_id)
            headers = [*answer.raw_headers, (b"x-request-id", request_id.encode()), (b"connection", b"close")]
            lines = [STATUS_LINE[answer.status_code], *(b"%b: %b\r\n" % header for header in headers), b"\r\n"]
            self.transport.write(b"".join(lines) + bytes(answer.body))
            fields = {"problem": problem.kind.slug, "detail": problem.detail}
            _log.info("request", request_id=request_id, status=answer.status_code, **fields)
        self.transport.close()

    def _start_header_timer(self) -> None:
        self._header_timer = self.loop.call_later(self._header_seconds, self._end_waiting)

    def _stop_header_timer(self) -> None:
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None


def _require_proper(version: str, headers: list[tuple[bytes, bytes]]) -> None:
    """Raise ProblemError where a request isn't HTTP/1.1's or 1.0's, or doesn't say once which host it is for."""
    if version not in {"1.0", "1.1"}:
        raise _malformed(f"HTTP/1.1 is spoken here, not HTTP/{version}")
    hosts = sum(name == b"host" for name, _ in headers)
    if hosts > 1 or (hosts == 0 and version == "1.1"):
        raise _malformed("a request has to have one Host header")
    if any(name == b"transfer-encoding" and value.lower() != b"chunked" for name, value in headers):
        raise _malformed("no Transfer-Encoding but chunked is known here")


def _malformed(detail: str) -> ProblemError:
    return ProblemError(Kind.MALFORMED_REQUEST, detail)


class _GatheringTransport:
    """A transport that sends in one piece what is written at once.

    An answer's head and body are written one after the other. Each sending may cost the event loop its turn: it waits
    for the interpreter's lock again, which the worker threads have by then.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._pieces: list[bytes] = []

    def write(self, data: bytes) -> None:
        if not self._pieces:
            self._loop.call_soon(self._send)
        self._pieces.append(data)

    def close(self) -> None:
        self._send()
        self._transport.close()

    def _send(self) -> None:
        if self._pieces:
            self._transport.write(b"".join(self._pieces))
            self._pieces.clear()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
