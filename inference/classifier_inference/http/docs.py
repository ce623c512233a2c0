"""GET /docs: Swagger UI, from this server's own disk: clusters often reach no content delivery network."""

from fastapi import FastAPI, Request
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.responses import HTMLResponse
from starlette.staticfiles import StaticFiles

_FILES = "/docs/files"


def add_docs(api: FastAPI) -> None:
    """Add the page and the files that it loads."""

    @api.get("/docs", include_in_schema=False)
    async def docs(request: Request) -> HTMLResponse:
        below = request.scope.get("root_path", "")
        return get_swagger_ui_html(
            openapi_url=f"{below}{api.openapi_url}",
            title=api.title,
            swagger_js_url=f"{below}{_FILES}/swagger-ui-bundle.js",
            swagger_css_url=f"{below}{_FILES}/swagger-ui.css",
            swagger_favicon_url=f"{below}{_FILES}/favicon-32x32.png",
        )

    api.mount(_FILES, StaticFiles(packages=[("fastapi_swagger", "resources")]))
