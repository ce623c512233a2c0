"""HTTP/1.1 over Uvicorn's h11 protocol, and what it leaves open.

It waits for a request's headers for ever, tells nobody that a client has left, and sends an answer's head by itself.

The time that a body may take is the application's to watch, in api/middleware.py, whatever parses HTTP.
"""

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, cast

import h11
import structlog
from uvicorn.protocols.http.h11_impl import H11Protocol

from classifier_inference.api.leaving import STATE_KEY, Client
from classifier_inference.api.problem import Kind, ProblemError, render_problem

_log = structlog.get_logger("request")


def make_protocol(header_seconds: float, new_request_id: Callable[[], str]) -> type[asyncio.Protocol]:
    """Return a protocol for Uvicorn that gives a request's headers so many seconds from their first byte.

    Between requests a connection may be silent for `timeout_keep_alive`, a new one before its first request as well.
    """

    class TimedProtocol(_TimedProtocol):
        _header_seconds = header_seconds
        _new_request_id = staticmethod(new_request_id)

    return TimedProtocol


class _TimedProtocol(H11Protocol):
    _header_seconds: float
    _new_request_id: Callable[[], str]
    _header_timer: asyncio.TimerHandle | None = None
    _client: Client

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

    def handle_events(self) -> None:
        """Handle what came; from here on headers that have begun to come are timed."""
        super().handle_events()
        if self.conn.their_state is h11.IDLE and self.conn.trailing_data[0]:
            if self._header_timer is None:
                self._header_timer = self.loop.call_later(self._header_seconds, self._end_waiting)
        elif self._header_timer is not None:
            self._stop_header_timer()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP, where an answer has not begun already."""
        self._refuse(ProblemError(Kind.MALFORMED_REQUEST, msg))

    def _end_waiting(self) -> None:
        self._header_timer = None
        detail = f"the headers have to come within {self._header_seconds:g} s"
        self._refuse(ProblemError(Kind.REQUEST_TIMEOUT, detail))

    def _refuse(self, problem: ProblemError) -> None:
        """Answer, if it can still be done, and close."""
        if self.transport.is_closing():
            return
        if self.conn.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
            request_id = self._new_request_id()
            answer = render_problem(problem, request_id)
            status = HTTPStatus(answer.status_code)
            headers = [*answer.raw_headers, (b"x-request-id", request_id.encode()), (b"connection", b"close")]
            response = h11.Response(status_code=status, headers=headers, reason=status.phrase)
            for event in (response, h11.Data(data=bytes(answer.body)), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
            fields = {"problem": problem.kind.slug, "detail": problem.detail}
            _log.info("request", request_id=request_id, status=status.value, **fields)
        self.transport.close()

    def _stop_header_timer(self) -> None:
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None


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
