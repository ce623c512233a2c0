"""The Open Inference Protocol, version 2, over HTTP: https://github.com/kserve/open-inference-protocol.

With Triton's extensions for binary tensors, classification, configuration and statistics, as its clients read them.
"""

from functools import partial
from typing import Any

import orjson
from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

import classifier_inference
from classifier_inference.http.answering import Answering
from classifier_inference.http.lifecycle import Lifecycle
from classifier_inference.http.open_inference import infer_schemas as schemas
from classifier_inference.http.open_inference.infer import HEADER_LENGTH, bound_body, respond
from classifier_inference.http.open_inference.infer_schemas import IMAGE, SCORES
from classifier_inference.http.open_inference.statistics import describe_statistics
from classifier_inference.http.problem import Kind, ProblemError, document_problems
from classifier_inference.model.loaded_classifier import LoadedClassifier
from classifier_inference.spec.classifier import Classifier
from classifier_inference.telemetry.metrics import Metrics

PREFIX = "/v2"
PLATFORM = "onnxruntime_onnx"

_EXTENSIONS = ["classification", "model_configuration", "statistics", "binary_tensor_data"]
_PROBLEMS = (
    Kind.MEMORY_FULL, Kind.TOO_MUCH_DECODING, Kind.TOO_MUCH_MEMORY,
    Kind.EMPTY_BODY, Kind.NOT_AN_IMAGE, Kind.BROKEN_IMAGE, Kind.NO_SUCH_MODEL, Kind.TOO_MANY_BYTES,
    Kind.TOO_MANY_IMAGES, Kind.TOO_MANY_PIXELS, Kind.UNSUPPORTED_FORMAT, Kind.UNSUPPORTED_ENCODING,
    Kind.MALFORMED_ENCODING, Kind.MALFORMED_JSON, Kind.INVALID_INPUT, Kind.QUEUE_FULL, Kind.INTERNAL, Kind.NOT_READY,
    Kind.REQUEST_TIMEOUT,
)  # fmt: skip
_BODY: dict[str, Any] = {
    "parameters": [
        {
            "name": HEADER_LENGTH,
            "in": "header",
            "description": "The JSON's length in bytes, where binary tensors follow it.",
            "schema": {"type": "integer", "minimum": 0},
        },
        {
            "name": "Content-Encoding",
            "in": "header",
            "schema": {"type": "string", "enum": ["gzip", "x-gzip", "deflate", "identity"]},
        },
    ],
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": {"$ref": "#/components/schemas/InferRequest"}},
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
        },
    },
}


def make_router(classifier: Classifier, lifecycle: Lifecycle, answering: Answering, metrics: Metrics) -> APIRouter:
    """Return the routes."""
    router = APIRouter(tags=["Open Inference Protocol"], prefix=PREFIX)

    @router.get("", response_model=schemas.ServerMetadata)
    async def describe_server() -> Response:
        """Tell what answers, and which extensions it knows."""
        content = {"name": "imageclassifier", "version": classifier_inference.__version__, "extensions": _EXTENSIONS}
        return _render(content)

    @router.get("/health/live", response_model=schemas.Live)
    async def live() -> Response:
        """Say that the process lives."""
        return _render({"live": True})

    @router.get(
        "/health/ready",
        response_model=schemas.Ready,
        responses={503: {"model": schemas.Ready, "description": "Loading or draining"}},
    )
    async def ready() -> Response:
        """Say whether requests should be sent here."""
        return _render({"ready": lifecycle.is_ready}, 200 if lifecycle.is_ready else 503)

    async def require_model(name: str) -> None:
        _require_model(classifier, name, classifier.spec.model.version)

    async def require_version(name: str, version: str) -> None:
        _require_model(classifier, name, version)

    of_model = _make_model_router(classifier, lifecycle, answering, metrics)
    router.include_router(of_model, prefix="/models/{name}", dependencies=[Depends(require_model)])
    of_version = "/models/{name}/versions/{version}"
    router.include_router(of_model, prefix=of_version, dependencies=[Depends(require_version)])
    return router


def _make_model_router(
    classifier: Classifier, lifecycle: Lifecycle, answering: Answering, metrics: Metrics
) -> APIRouter:
    """Return the routes of a model, or of a version of it."""
    router = APIRouter()
    limits = classifier.spec.limits

    @router.get("", response_model=schemas.ModelMetadata, responses=_document_lookup(Kind.NOT_READY))
    async def describe_model() -> Response:
        """Tell the model's tensors: encoded images in, a score a class out."""
        return _render(_describe_model(classifier, lifecycle.require_loaded()))

    @router.get("/ready", response_model=schemas.ModelReady, responses=_document_lookup(Kind.NOT_READY))
    async def model_ready() -> Response:
        """Say whether the model answers."""
        if not lifecycle.is_ready:
            raise ProblemError(Kind.NOT_READY, "the model is being loaded, or the server ends")
        return _render({"name": classifier.name, "ready": True})

    @router.get("/config", response_model=schemas.ModelConfig, responses=_document_lookup(Kind.NOT_READY))
    async def describe_config() -> Response:
        """Tell what Triton's perf_analyzer asks for before it sends requests."""
        return _render(_describe_config(classifier, lifecycle.require_loaded()))

    @router.get("/stats", response_model=schemas.Statistics, responses=_document_lookup())
    async def stats() -> Response:
        """Tell what the model did since the server started, by any protocol."""
        return _render({"model_stats": [describe_statistics(classifier, metrics)]})

    @router.post(
        "/infer",
        response_model=schemas.InferAnswer,
        responses=document_problems(*_PROBLEMS),
        openapi_extra=_BODY,
        summary="Infer",
    )
    async def infer(request: Request) -> Response:
        """Classify images: encoded ones, their pixels, or what the model itself takes."""
        bound = bound_body(limits.bytes, limits.batch)
        async with answering.take(request) as turn:
            return await turn.work(partial(respond, await turn.read_body(bound), request.headers))

    return router


def _document_lookup(*kinds: Kind) -> dict[int | str, dict[str, object]]:
    return document_problems(Kind.NO_SUCH_MODEL, *kinds)


def _require_model(classifier: Classifier, name: str, version: str) -> None:
    """Raise ProblemError unless that model, of that version, is served."""
    served = classifier.name, classifier.spec.model.version
    if (name, version) != served:
        raise ProblemError(Kind.NO_SUCH_MODEL, f"served is {served[0]}, version {served[1]}")


def _describe_model(classifier: Classifier, loaded: LoadedClassifier) -> dict[str, object]:
    return {
        "name": classifier.name,
        "versions": [classifier.spec.model.version],
        "platform": PLATFORM,
        "inputs": [{"name": IMAGE, "datatype": "BYTES", "shape": [-1]}],
        "outputs": [{"name": SCORES, "datatype": "FP32", "shape": [-1, len(loaded.labels)]}],
    }


def _describe_config(classifier: Classifier, loaded: LoadedClassifier) -> dict[str, object]:
    return {
        "name": classifier.name,
        "platform": PLATFORM,
        "backend": "onnxruntime",
        "max_batch_size": classifier.spec.limits.batch,
        "input": [{"name": IMAGE, "data_type": "TYPE_STRING", "dims": [1]}],
        "output": [{"name": SCORES, "data_type": "TYPE_FP32", "dims": [len(loaded.labels)]}],
    }


def _render(content: dict[str, Any], status: int = 200) -> Response:
    return Response(orjson.dumps(content), status, media_type="application/json")
