"""POST /api/v1/predict: an image, or several, in one of three forms."""

from functools import partial
from typing import Any

import orjson
from fastapi import APIRouter, Request
from starlette.responses import Response

from classifier_inference.http.answering import Answering
from classifier_inference.http.body import (
    ImageBytes,
    ImagePath,
    Several,
    describe_images,
    list_addresses,
    parse_named,
    parse_sent,
)
from classifier_inference.http.problem import Kind, ProblemError, describe_problem, document_problems
from classifier_inference.http.shortcut import Handler
from classifier_inference.http.v1.schemas import InferenceResponse, InferenceResults
from classifier_inference.http.work import Work, to_milliseconds
from classifier_inference.model.loaded_classifier import Answer
from classifier_inference.spec.limits import Limits

PREDICT_PATH = "/api/v1/predict"

_PROBLEMS = (
    Kind.EMPTY_BODY, Kind.NOT_AN_IMAGE, Kind.BROKEN_IMAGE, Kind.OUTSIDE_IMAGE_ROOT, Kind.IMAGE_ROOT_UNSET,
    Kind.NO_SUCH_IMAGE, Kind.TOO_MANY_BYTES, Kind.TOO_MANY_PIXELS, Kind.TOO_MANY_IMAGES, Kind.UNSUPPORTED_FORMAT,
    Kind.MALFORMED_JSON, Kind.MALFORMED_MULTIPART, Kind.INVALID_INPUT, Kind.UNUSABLE_PATH, Kind.QUEUE_FULL,
    Kind.MEMORY_FULL, Kind.TOO_MUCH_MEMORY, Kind.ADDRESS_NOT_ALLOWED, Kind.IMAGE_UNREACHABLE, Kind.IMAGE_TIMEOUT,
    Kind.TOO_MUCH_DECODING, Kind.INTERNAL, Kind.NOT_READY, Kind.REQUEST_TIMEOUT,
)  # fmt: skip
_BINARY = {"type": "string", "format": "binary"}
_FILES = {"oneOf": [_BINARY, {"type": "array", "minItems": 1, "items": _BINARY}]}


def make_predict(answering: Answering, limits: Limits) -> Handler:
    """Return what answers POST /api/v1/predict."""

    async def predict(request: Request) -> Response:
        """Classify an image: its bytes as the body, a multipart field `file`, or JSON with `image_path`.

        Several fields `file`, or `image_paths`, are answered with `results`: in their order, an answer or a problem
        each.
        """
        content_type = request.headers.get("content-type", "")
        bound = limits.bytes * (limits.batch if content_type.lower().startswith("multipart/") else 1)
        async with answering.take(request) as turn:
            body = await turn.read_body(bound)
            named = parse_named(body, limits)
            await turn.bring(list_addresses(named))
            return await turn.work(partial(_respond, named, body, content_type))

    return predict


def make_router(predict: Handler, limits: Limits) -> APIRouter:
    """Return the route."""
    router = APIRouter(tags=["v1"])
    router.post(
        PREDICT_PATH,
        response_model=InferenceResponse | InferenceResults,
        responses=document_problems(*_PROBLEMS),
        openapi_extra=_describe_body(limits),
        summary="Classify an image, or several",
    )(predict)
    return router


def _describe_body(limits: Limits) -> dict[str, Any]:
    return {
        "requestBody": {
            "required": True,
            "description": "Images in one of three forms. The first bytes decide which it is, not the Content-Type.",
            "content": {
                "multipart/form-data": {
                    "schema": {"type": "object", "required": ["file"], "properties": {"file": _FILES}}
                },
                "application/json": {"schema": {"$ref": "#/components/schemas/InferenceInput"}},
                **describe_images(limits),
            },
        }
    }


def _respond(named: ImagePath | Several | None, body: bytes, content_type: str, work: Work) -> Response:
    asked = named if named is not None else parse_sent(body, content_type, work.loaded.spec.limits)
    match asked:
        case Several(images):
            content = {"results": _answer_several(work, images)}
        case ImageBytes() | ImagePath():
            image = work.find(asked)
            answer = work.classify(image)
            work.keep(answer, work.request_id, image)
            content = _render_answer(work, answer, work.request_id)
    return Response(orjson.dumps(content), media_type="application/json")


def _answer_several(work: Work, images: list[ImageBytes | ImagePath]) -> list[dict[str, Any]]:
    """Return an answer or a problem for each, each with its index and a request id of its own."""
    tried = [(work.new_request_id(), *_try(work, asked)) for asked in images]
    results = []
    # Only now that none can fail any more: what is logged was answered.
    for index, (request_id, outcome, image) in enumerate(tried):
        if isinstance(outcome, Answer):
            work.keep(outcome, request_id, image)
            result = _render_answer(work, outcome, request_id)
        else:
            result = describe_problem(outcome, request_id)
        results.append({"index": index, **result})
    return results


def _try(work: Work, asked: ImageBytes | ImagePath) -> tuple[Answer | ProblemError, ImageBytes | None]:
    try:
        image = work.find(asked)
        return work.classify(image), image
    except ProblemError as problem:
        return problem, None


def _render_answer(work: Work, answer: Answer, request_id: str) -> dict[str, Any]:
    """Return an InferenceResponse's content."""
    loaded = work.loaded
    return {
        "request_id": request_id,
        "predictions": answer.predictions,
        "model": {"name": loaded.name, "version": loaded.spec.model.version, "sha256": loaded.sha256},
        "milliseconds": {
            "decode": to_milliseconds(answer.decode_seconds),
            "queue": to_milliseconds(work.stages.queued_seconds),
            "infer": to_milliseconds(answer.infer_seconds),
        },
    }
