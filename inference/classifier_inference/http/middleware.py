"""What holds for every request: its id, its line in the log, its count, and how it ends."""

import asyncio
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog
from opentelemetry.trace import SpanContext
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from classifier_inference.http.bookkeeping import count_request, write_line
from classifier_inference.http.exchange import Exchange, put_exchange
from classifier_inference.http.leaving import STATE_KEY
from classifier_inference.http.lifecycle import Lifecycle
from classifier_inference.http.probes import PROBE_PATHS
from classifier_inference.http.problem import Kind, ProblemError
from classifier_inference.http.request_id import parse_client_id
from classifier_inference.telemetry.metrics import Metrics
from classifier_inference.telemetry.trace_context import go_on, parse_traceparent, render_traceparent

if TYPE_CHECKING:
    from classifier_inference.http.request_spans import RequestSpans

OWN_ID_HEADER = "X-Classifier-Request-Id"
"""The id that the server gave a request, where `X-Request-Id` echoes the client's own."""
LINGER_SECONDS = 1.0
PROGRESS_BYTES = 16 * 2**10
"""What has to come of a body in each span of `limits.bodyTimeout`: a phone's line brings more, a trickle doesn't."""
HELD_UP_SECONDS = 0.1
"""How late a stall is noticed at most if it is the client's: later, this process stood still, or its whole machine."""
LINGER_BYTES = 4 * 2**20

_log = structlog.get_logger("request")


@dataclass(frozen=True)
class FrontDesk:
    """What every request is met with."""

    lifecycle: Lifecycle
    metrics: Metrics
    new_request_id: Callable[[], str]
    spans: "RequestSpans | None"
    """What exports spans; None where no endpoint is named for them."""
    body_timeout: float
    """How many seconds a body may stall."""


class RequestMiddleware:
    """Gives each request an id, logs and counts it, answers what nobody caught, and closes what must be closed."""

    def __init__(self, app: ASGIApp, desk: FrontDesk, root_path: str) -> None:
        self._app = app
        self._desk = desk
        self._probe_paths = PROBE_PATHS | {root_path + path for path in PROBE_PATHS}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        is_probe = scope["path"] in self._probe_paths
        await _Conversation(self._app, self._desk, scope, receive, send, is_probe=is_probe).run()


class _Conversation:
    """One request and its answer."""

    def __init__(
        self, app: ASGIApp, desk: FrontDesk, scope: Scope, receive: Receive, send: Send, *, is_probe: bool
    ) -> None:
        self._app = app
        self._desk = desk
        self._scope = scope
        self._receive_message = receive
        self._send_message = send
        self._is_probe = is_probe
        given = parse_traceparent(scope["headers"])
        self._span = desk.spans.begin(given) if desk.spans is not None and not is_probe else None
        self._exchange = Exchange(
            request_id=desk.new_request_id(),
            client_request_id=parse_client_id(scope["headers"]),
            client=scope["state"][STATE_KEY],
            trace=self._span.own if self._span is not None else _go_on(given),
        )
        put_exchange(scope, self._exchange)
        self._status: int | None = None
        self._body_read = not _has_body(scope)
        self._stalls_at: float | None = None
        self._owed_bytes = 0

    async def run(self) -> None:
        started = time.perf_counter()
        try:
            await self._answer()
        finally:
            if self._exchange.is_prediction:
                count_request(self._desk.metrics, self._exchange, self._status)
            if self._span is not None and self._desk.spans is not None:
                self._desk.spans.end(self._span, self._scope, self._exchange, self._status)
            if not self._is_probe:
                write_line(self._scope, self._exchange, self._status, time.perf_counter() - started)

    async def _answer(self) -> None:
        try:
            await self._app(self._scope, self._receive, self._send)
        except Exception:  # noqa: BLE001 - answered by then, as far as it could be; Starlette hands it on to be logged
            _log.exception("failed", request_id=self._exchange.request_id)

    async def _receive(self) -> Message:
        """Return what the application is sent. Raises ProblemError where a body stalls."""
        if self._body_read:
            return await self._receive_message()
        limit, loop = self._desk.body_timeout, asyncio.get_running_loop()
        if self._stalls_at is None or self._owed_bytes <= 0:
            self._stalls_at, self._owed_bytes = loop.time() + limit, PROGRESS_BYTES
        try:
            async with asyncio.timeout_at(self._stalls_at):
                message = await self._receive_any()
        except TimeoutError:
            if loop.time() - self._stalls_at > HELD_UP_SECONDS:
                self._stalls_at = None
                return await self._receive()
            detail = f"a body has to bring {PROGRESS_BYTES} bytes, or its end, every {limit:g} s"
            raise ProblemError(Kind.REQUEST_TIMEOUT, detail) from None
        self._owed_bytes -= len(message.get("body", b""))
        return message

    async def _receive_any(self) -> Message:
        message = await self._receive_message()
        if message["type"] == "http.disconnect" or not message.get("more_body", False):
            self._body_read = True
        return message

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            headers = MutableHeaders(scope=message)
            exchange = self._exchange
            headers["X-Request-Id"] = exchange.client_request_id or exchange.request_id
            if exchange.client_request_id is not None:
                headers[OWN_ID_HEADER] = exchange.request_id
            if exchange.trace is not None:
                headers["traceparent"] = render_traceparent(exchange.trace)
            if self._desk.lifecycle.draining or not self._body_read:
                headers["Connection"] = "close"
        elif not self._body_read and not message.get("more_body", False):
            await self._linger(message)
            return
        await self._send_message(message)

    async def _linger(self, message: Message) -> None:
        """Send the answer, then read on for a moment before closing.

        A socket that is closed with unread data in it resets the connection, and the answer may be lost with it.
        """
        await self._send_message({**message, "more_body": True})
        if "expect" not in Headers(scope=self._scope):
            with suppress(TimeoutError):
                async with asyncio.timeout(LINGER_SECONDS):
                    await self._discard(LINGER_BYTES)
        await self._send_message({"type": "http.response.body", "body": b"", "more_body": False})

    async def _discard(self, most: int) -> None:
        while most > 0 and not self._body_read:
            most -= len((await self._receive_any()).get("body", b""))


def _go_on(given: SpanContext | None) -> SpanContext | None:
    """Return the context of our span in the trace that the request belongs to, if it says so."""
    return go_on(given, os.urandom(8)) if given is not None else None


def _has_body(scope: Scope) -> bool:
    headers = Headers(scope=scope)
    return headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
