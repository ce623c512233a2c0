"""GET /: a page to try the classifier in a browser. One file, which loads nothing from anywhere else."""

import base64
import hashlib
import re
from importlib.resources import files

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

_PAGE = files("classifier_inference.http").joinpath("page.html").read_bytes()


def _allow_inline(tag: str) -> str:
    """Return the sources of a Content-Security-Policy (Level 3) that let just this page's own `tag` run."""
    found = re.findall(rf"<{tag}>(.*?)</{tag}>".encode(), _PAGE, re.DOTALL)
    return " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(inline).digest()).decode()}'" for inline in found)


_HEADERS = {
    "Content-Security-Policy": "; ".join(
        (
            "default-src 'none'",
            f"script-src {_allow_inline('script')}",
            f"style-src {_allow_inline('style')}",
            "img-src blob: data:",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    ),
    "Cache-Control": "no-cache",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def make_router() -> APIRouter:
    """Return the route."""
    router = APIRouter(tags=["page"])

    @router.get("/", response_class=HTMLResponse, summary="Try it in a browser")
    async def page() -> HTMLResponse:
        """Return the page: it sends an image to the prediction route and shows the answer."""
        return HTMLResponse(_PAGE, headers=_HEADERS)

    return router
