"""What holds for every request: its id, its line in the log, its count, and how it ends."""

import asyncio
import os
import time
from contextlib import suppress

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.routing import Match, Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from classifier_inference.http.probes import PROBE_PATHS
from classifier_inference.http.problem import Kind, ProblemError
from classifier_inference.http.request_id import parse_client_id
from classifier_inference.http.serving import Serving
from classifier_inference.telemetry.trace_context import TraceContext, parse_traceparent

OWN_ID_HEADER = "X-Classifier-Request-Id"
"""The id that the server gave a request, where `X-Request-Id` echoes the client's own."""
LINGER_SECONDS = 1.0
PROGRESS_BYTES = 16 * 2**10
"""What has to come of a body in each span of `limits.bodyTimeout`: a phone's line brings more, a trickle doesn't."""
HELD_UP_SECONDS = 0.1
"""How late a stall is noticed at most if it is the client's: later, this process stood still, or its whole machine."""
LINGER_BYTES = 4 * 2**20

_log = structlog.get_logger("request")


class RootPathMiddleware:
    """Takes the ingress's path prefix off; a path that names a route as it stands is left alone."""

    def __init__(self, app: ASGIApp, router: Router, root_path: str) -> None:
        self._app = app
        self._router = router
        self._root_path = root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] == "http" and self._root_path and not self._is_route(scope):
            scope = {**scope, "root_path": self._root_path}
        await self._app(scope, receive, send)

    def _is_route(self, scope: Scope) -> bool:
        return any(route.matches(scope)[0] is not Match.NONE for route in self._router.routes)


class RequestMiddleware:
    """Gives each request an id, logs and counts it, answers what nobody caught, and closes what must be closed."""

    def __init__(self, app: ASGIApp, serving: Serving, root_path: str) -> None:
        self._app = app
        self._serving = serving
        self._probe_paths = PROBE_PATHS | {root_path + path for path in PROBE_PATHS}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        is_probe = scope["path"] in self._probe_paths
        await _Exchange(self._app, self._serving, scope, receive, send, is_probe=is_probe).run()


class _Exchange:
    """One request and its answer."""

    def __init__(
        self, app: ASGIApp, serving: Serving, scope: Scope, receive: Receive, send: Send, *, is_probe: bool
    ) -> None:
        self._app = app
        self._serving = serving
        self._scope = scope
        self._receive_message = receive
        self._send_message = send
        self._request_id = serving.new_request_id()
        self._state = scope.setdefault("state", {})
        self._state["request_id"] = self._request_id
        self._client_id = parse_client_id(scope["headers"])
        self._state["client_request_id"] = self._client_id
        given = parse_traceparent(scope["headers"])
        self._is_probe = is_probe
        self._span = serving.spans.begin(given) if serving.spans is not None and not is_probe else None
        self._trace = self._span.context if self._span is not None else _go_on(given)
        self._state["trace"] = self._trace
        self._status: int | None = None
        self._body_read = not _has_body(scope)
        self._stalls_at: float | None = None
        self._owed_bytes = 0

    async def run(self) -> None:
        started = time.perf_counter()
        try:
            await self._answer()
        finally:
            if self._state.get("is_prediction"):
                self._count()
            if self._span is not None and self._serving.spans is not None:
                self._serving.spans.end(self._span, self._scope, self._status)
            if not self._is_probe:
                self._write_line(time.perf_counter() - started)

    async def _answer(self) -> None:
        try:
            await self._app(self._scope, self._receive, self._send)
        except Exception:  # noqa: BLE001 - answered by then, as far as it could be; Starlette hands it on to be logged
            _log.exception("failed", request_id=self._request_id)

    async def _receive(self) -> Message:
        """Return what the application is sent. Raises ProblemError where a body stalls."""
        if self._body_read:
            return await self._receive_message()
        limit, loop = self._serving.classifier.spec.limits.body_timeout, asyncio.get_running_loop()
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
            headers["X-Request-Id"] = self._client_id or self._request_id
            if self._client_id is not None:
                headers[OWN_ID_HEADER] = self._request_id
            if self._trace is not None:
                headers["traceparent"] = str(self._trace)
            if self._serving.draining or not self._body_read:
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

    def _count(self) -> None:
        problem = self._state.get("problem")
        if self._state.get("abandoned"):
            outcome = "abandoned"
        elif problem is None:
            outcome = "answered" if self._status == 200 else "failed"
        else:
            outcome = "failed" if problem.kind is Kind.INTERNAL else "refused"
        self._serving.metrics.requests.labels(outcome).inc()
        if outcome == "refused":
            self._serving.metrics.refusals.labels(problem.kind.slug).inc()

    def _write_line(self, seconds: float) -> None:
        problem, answers = self._state.get("problem"), self._state.get("answers", [])
        fields: dict[str, object] = {}
        if problem is not None:
            fields = {"problem": problem.kind.slug, "detail": problem.detail}
        elif len(answers) == 1:
            best = answers[0].predictions[:1]
            fields = {"label": best[0].label, "confidence": round(best[0].confidence, 4)} if best else {"label": None}
        elif self._state.get("is_prediction"):
            fields = {"images": len(answers)}
        if self._client_id is not None:
            fields["client_request_id"] = self._client_id
        if self._trace is not None:
            fields |= {"trace_id": self._trace.trace_id, "span_id": self._trace.span_id}
        _log.info(
            "request",
            request_id=self._request_id,
            method=self._scope["method"],
            path=self._scope["path"],
            status=self._status,
            milliseconds=round(seconds * 1000, 1),
            **fields,
        )


def _go_on(given: TraceContext | None) -> TraceContext | None:
    """Return the context of our span in the trace that the request belongs to, if it says so."""
    return given.go_on(os.urandom(8)) if given is not None else None


def _has_body(scope: Scope) -> bool:
    headers = Headers(scope=scope)
    return headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
