"""The application: the routers, and what holds for every request."""

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp

import classifier_inference
from classifier_inference.http.api_keys import ApiKeys
from classifier_inference.http.auth import AuthMiddleware, document_auth
from classifier_inference.http.cors import allow_origins
from classifier_inference.http.docs import add_docs
from classifier_inference.http.exchange import find_exchange
from classifier_inference.http.hugging_face import TaskInput
from classifier_inference.http.methods import MethodsMiddleware, list_methods
from classifier_inference.http.middleware import FrontDesk, RequestMiddleware
from classifier_inference.http.mlflow.run_schemas import PredictionLogRequest
from classifier_inference.http.open_inference.infer_schemas import InferRequest
from classifier_inference.http.open_inference.model_routes import PREFIX as OPEN_INFERENCE_PATH
from classifier_inference.http.problem import MEDIA_TYPE, Kind, ProblemError, render_problem
from classifier_inference.http.root_path import RootPathMiddleware
from classifier_inference.http.shortcut import Handler, Shortcut
from classifier_inference.http.v1.predict import PREDICT_PATH
from classifier_inference.http.v1.schemas import InferenceInput, Problem

_KINDS = {404: Kind.NO_SUCH_ROUTE, 405: Kind.METHOD_NOT_ALLOWED}

_UNTYPED = (InferenceInput, InferRequest, PredictionLogRequest, Problem, TaskInput)
"""Schemas that no route takes or returns by type."""


def make_api(title: str, routers: Iterable[APIRouter], *, asks_for_keys: bool) -> FastAPI:
    """Return the routes with their errors and their documentation."""
    api = FastAPI(
        title="Image classifier",
        summary=f"Serves {title}",
        version=classifier_inference.__version__,
        docs_url=None,
        redoc_url=None,
        # Spans are ours: of what goes past FastAPI too, under the ids that the log has.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    for router in routers:
        api.include_router(router)
    add_docs(api)
    api.add_exception_handler(ProblemError, _answer_problem)
    api.add_exception_handler(HTTPException, _answer_http_exception)
    api.add_exception_handler(ClientDisconnect, _answer_nobody)
    api.add_exception_handler(Exception, _answer_failure)
    _document(api, has_keys=asks_for_keys)
    return api


def make_app(
    api: FastAPI, predict: Handler, desk: FrontDesk, keys: ApiKeys | None, root_path: str, cors: Sequence[str]
) -> ASGIApp:
    """Return the application: the routes, and around them what holds for every request, outermost last."""
    app: ASGIApp = MethodsMiddleware(Shortcut(api, PREDICT_PATH, predict), api.routes)
    if keys is not None:
        app = AuthMiddleware(app, keys, desk.metrics.refusals)
    app = RootPathMiddleware(app, api.router, root_path)
    return RequestMiddleware(allow_origins(app, cors), desk, root_path)


def _answer(request: Request, problem: ProblemError) -> Response:
    exchange = find_exchange(request.scope)
    exchange.problem = problem
    path = request.scope["path"].removeprefix(request.scope["root_path"])
    names_error = path == "/" or path.startswith(OPEN_INFERENCE_PATH)
    return render_problem(problem, exchange.request_id, names_error=names_error)


async def _answer_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, ProblemError)  # noqa: S101 - registered for it alone
    return _answer(request, error)


async def _answer_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for it alone
    kind = _KINDS.get(error.status_code, Kind.INTERNAL)
    headers = error.headers
    if kind is Kind.METHOD_NOT_ALLOWED:
        # What is mounted sees its own root.
        scope = {**request.scope, "root_path": request.scope.get("app_root_path", request.scope["root_path"])}
        headers = {"Allow": ", ".join(list_methods(request.app.routes, scope))}
    return _answer(request, ProblemError(kind, f"{request.method} {request.url.path}", headers))


async def _answer_failure(request: Request, error: Exception) -> Response:
    return _answer(request, ProblemError(Kind.INTERNAL, "the server failed; its log says why"))


async def _answer_nobody(request: Request, error: Exception) -> Response:
    """Return a response for form's sake: whoever asked has gone."""
    find_exchange(request.scope).abandoned = True
    return Response(status_code=499)


def _document(api: FastAPI, *, has_keys: bool) -> None:
    """Put the schemas that no route takes or returns by type where the routes' descriptions look for them."""

    @cache
    def openapi() -> dict[str, Any]:
        schema = get_openapi(title=api.title, version=api.version, summary=api.summary, routes=api.routes)
        _, untyped = models_json_schema(
            [(kind, "validation") for kind in _UNTYPED], ref_template="#/components/schemas/{model}"
        )
        schema["components"]["schemas"] |= untyped["$defs"]
        _leave_out_validation(schema)
        if has_keys:
            document_auth(schema)
        return schema

    # When it is first asked for: a server that starts has to answer predictions first.
    api.openapi = openapi  # type: ignore[method-assign]


def _leave_out_validation(schema: dict[str, Any]) -> None:
    """Take out what FastAPI says of validation: no parameter here can fail it, and bodies are judged by ourselves."""
    for name in ("HTTPValidationError", "ValidationError"):
        schema["components"]["schemas"].pop(name, None)
    operations = [operation for path in schema["paths"].values() for operation in path.values()]
    for operation in operations:
        if MEDIA_TYPE not in operation["responses"].get("422", {"content": {MEDIA_TYPE: None}})["content"]:
            del operation["responses"]["422"]
