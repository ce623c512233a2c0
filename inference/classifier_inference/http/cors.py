"""Which other sites' pages may ask from a browser: none, unless they are named."""

from collections.abc import Sequence

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

_METHODS = ("GET", "HEAD", "POST", "OPTIONS")
_EXPOSED = ("X-Request-Id", "X-Classifier-Request-Id", "Retry-After", "traceparent", "Inference-Header-Content-Length")
_MAX_AGE_SECONDS = 600


def allow_origins(app: ASGIApp, origins: Sequence[str]) -> ASGIApp:
    """Return the application with the origins let in.

    It stands before the one that asks for API keys: a browser's preflight brings none. Keys travel in headers, so that
    no cookies have to be let through, and "*" is as safe as the keys are.
    """
    if not origins:
        return app
    return CORSMiddleware(
        app,
        allow_origins=origins,
        allow_methods=_METHODS,
        allow_headers=["*"],
        expose_headers=_EXPOSED,
        max_age=_MAX_AGE_SECONDS,
    )
