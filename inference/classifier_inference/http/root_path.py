"""The path prefix that an ingress leaves in front."""

from starlette.routing import Match, Router
from starlette.types import ASGIApp, Receive, Scope, Send


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
