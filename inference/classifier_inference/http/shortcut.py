"""The shortest way to the route that most requests ask for.

FastAPI's own layers (routing, error handling, dependencies, exit stacks) would take a third of the time that HTTP takes
a prediction. The route is registered there as well, which documents it and answers all but its POST.
"""

from collections.abc import Awaitable, Callable
from typing import cast

from fastapi import FastAPI, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from classifier_inference.http.exchange import find_exchange
from classifier_inference.http.methods import find_path

Handler = Callable[[Request], Awaitable[Response]]


class Shortcut:
    """Hands POST on one path to its handler, and everything else to the API; errors are answered by the API's handlers.

    Whatever has to stand before every request (who may ask, what is counted) belongs around this, not into the API.
    """

    def __init__(self, api: FastAPI, path: str, handler: Handler) -> None:
        self._api = api
        self._path = path
        self._handler = handler

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request; notes which route it took, None for none."""
        if scope["type"] != "http":
            await self._api(scope, receive, send)
            return
        if scope["method"] != "POST" or find_path(scope) != self._path:
            try:
                await self._api(scope, receive, send)
            finally:
                find_exchange(scope).route = _read_route(scope)
            return
        find_exchange(scope).route = self._path
        request = Request(scope, receive, send)
        try:
            response = await self._handler(request)
        except Exception as error:
            response, is_known = await self._answer_error(request, error)
            await response(scope, receive, send)
            if not is_known:
                raise
            return
        await response(scope, receive, send)

    async def _answer_error(self, request: Request, error: Exception) -> tuple[Response, bool]:
        """Return what the handler of the error's class answers, and whether that is more than the one of them all."""
        handlers = self._api.exception_handlers
        kind = next(kind for kind in type(error).__mro__ if kind in handlers)
        answer = cast("Callable[[Request, Exception], Awaitable[Response]]", handlers[kind])
        response = await answer(request, error)
        return response, kind is not Exception


def _read_route(scope: Scope) -> str | None:
    """Return the path of the route that a request took, with the prefixes that it was included under."""
    # `route` is what was included, without them.
    route = scope.get("fastapi", {}).get("effective_route_context") or scope.get("route")
    return getattr(route, "path_format", None) or None
