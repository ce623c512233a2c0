"""HEAD where GET is, and OPTIONS everywhere: no route has to say so itself."""

from collections.abc import Sequence

from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Mount
from starlette.types import ASGIApp, Receive, Scope, Send

_TAKEN = ("GET", "POST", "PUT", "PATCH", "DELETE")


class MethodsMiddleware:
    """Answers HEAD as GET, whose body HTTP then leaves out, and OPTIONS with what a path takes."""

    def __init__(self, app: ASGIApp, routes: Sequence[BaseRoute]) -> None:
        self._app = app
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request. A path that there isn't is left to the application."""
        if scope["type"] == "http" and scope["method"] in {"HEAD", "OPTIONS"}:
            allowed = list_methods(self._routes, scope)
            if scope["method"] == "OPTIONS" and allowed:
                await Response(status_code=204, headers={"Allow": ", ".join(allowed)})(scope, receive, send)
                return
            if "HEAD" in allowed:
                scope = {**scope, "method": "GET"}
        await self._app(scope, receive, send)


def find_path(scope: Scope) -> str:
    """Return the path as routes see it: without the ingress's prefix."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))


def list_methods(routes: Sequence[BaseRoute], scope: Scope) -> list[str]:
    """Return what a path takes, by all routes that it has: Starlette names the first one's alone."""
    found = [method for method in _TAKEN if any(_takes(route, scope, method) for route in routes)]
    if not found:
        return []
    return [*found, *(["HEAD"] if "GET" in found else []), "OPTIONS"]


def _takes(route: BaseRoute, scope: Scope, method: str) -> bool:
    if isinstance(route, Mount) and method != "GET":  # files; it would match every method
        return False
    return route.matches({**scope, "method": method})[0] is Match.FULL
