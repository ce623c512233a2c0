"""Who may ask: whoever brings an API key. Judged before anything else, so before a body is read."""

from collections.abc import Iterable, Iterator
from typing import Any

from prometheus_client import Counter
from starlette.types import ASGIApp, Receive, Scope, Send

from classifier_inference.http.api_keys import ApiKeys
from classifier_inference.http.exchange import find_exchange
from classifier_inference.http.methods import find_path
from classifier_inference.http.probes import PROBE_PATHS
from classifier_inference.http.problem import Kind, ProblemError, document_problems, render_problem
from classifier_inference.http.v1.health import HEALTH_PATH

API_KEY_HEADER = "X-API-Key"
OPEN_PATHS = PROBE_PATHS | {"/", "/docs", "/openapi.json", HEALTH_PATH}
"""GET and HEAD of these need no key: what the kubelet and Prometheus ask, pages that are the same on every server,
and health, which then says little."""
OPEN_PREFIX = "/docs/files/"

_SAFE = frozenset({"GET", "HEAD"})
_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "apiKey": {"type": "apiKey", "in": "header", "name": API_KEY_HEADER},
}


class AuthMiddleware:
    """Answers 401 where a request needs a key and brings none."""

    def __init__(self, app: ASGIApp, keys: ApiKeys, refusals: Counter) -> None:
        self._app = app
        self._keys = keys
        self._refusals = refusals

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request, and note whether it brought a key."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = find_exchange(scope)
        exchange.has_key = self._keys.opens(list_given(scope["headers"]))
        if exchange.has_key or is_open(scope["method"], find_path(scope)):
            await self._app(scope, receive, send)
            return
        problem = ProblemError(
            Kind.UNAUTHORIZED,
            f"send an API key, as `Authorization: Bearer …` or `{API_KEY_HEADER}: …`",
            {"WWW-Authenticate": "Bearer"},
        )
        exchange.problem = problem
        self._refusals.labels(problem.kind.slug).inc()
        answer = render_problem(problem, exchange.request_id, names_error=True)
        await answer(scope, receive, send)


def list_given(headers: Iterable[tuple[bytes, bytes]]) -> Iterator[bytes]:
    """Yield what a request's headers bring as keys."""
    for name, value in headers:
        if name == b"x-api-key":
            yield value.strip()
        elif name == b"authorization":
            scheme, _, credentials = value.strip().partition(b" ")
            if scheme.lower() == b"bearer":
                yield credentials.strip()


def is_open(method: str, path: str) -> bool:
    """Return whether a request needs no key."""
    return method == "OPTIONS" or (method in _SAFE and (path in OPEN_PATHS or path.startswith(OPEN_PREFIX)))


def document_auth(schema: dict[str, Any]) -> None:
    """Say in an OpenAPI document which routes need a key."""
    schema["components"]["securitySchemes"] = _SCHEMES
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            if not is_open(method.upper(), path):
                operation["security"] = [{name: []} for name in _SCHEMES]
                (answers,) = ({str(status): one} for status, one in document_problems(Kind.UNAUTHORIZED).items())
                operation["responses"] |= answers
