"""POST /: image classification as Hugging Face's inference clients ask for it, against a server of one's own.

https://huggingface.co/docs/inference-providers/tasks/image-classification
"""

from functools import partial
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from classifier_inference.http.answering import Answering
from classifier_inference.http.body import ImageBytes, begins_like_json, describe_images
from classifier_inference.http.json_body import parse_json
from classifier_inference.http.mlflow.run_schemas import EncodedBytes
from classifier_inference.http.problem import Kind, document_problems
from classifier_inference.http.work import Work
from classifier_inference.model.loaded_classifier import Answer, LoadedClassifier, find_best
from classifier_inference.model.scores import Function
from classifier_inference.spec.limits import Limits

JSON_OVERHEAD = 64 * 1024
"""Bytes that JSON may have beside its image."""

_PROBLEMS = (
    Kind.MEMORY_FULL, Kind.TOO_MUCH_DECODING, Kind.TOO_MUCH_MEMORY,
    Kind.EMPTY_BODY, Kind.NOT_AN_IMAGE, Kind.BROKEN_IMAGE, Kind.TOO_MANY_BYTES, Kind.TOO_MANY_PIXELS,
    Kind.UNSUPPORTED_FORMAT, Kind.MALFORMED_JSON, Kind.INVALID_INPUT, Kind.QUEUE_FULL, Kind.INTERNAL, Kind.NOT_READY,
    Kind.REQUEST_TIMEOUT,
)  # fmt: skip


class TaskParameters(BaseModel):
    """How the classes are wanted."""

    top_k: Annotated[int, Field(strict=True, ge=1)] | None = Field(
        default=None,
        description="How many, at most as many as there are. Absent: as everywhere else here.",
    )
    function_to_apply: Function | None = Field(
        default=None, description="What is made of the model's outputs. Absent: as everywhere else here."
    )


class TaskInput(BaseModel):
    """An image, and how its classes are wanted."""

    inputs: EncodedBytes = Field(description="The image in base64.")
    parameters: TaskParameters = TaskParameters()


class LabelScore(BaseModel):
    """One class."""

    label: str
    score: float = Field(description="From 0 to 1, but with function_to_apply none.")


def make_router(answering: Answering, limits: Limits) -> APIRouter:
    """Return the route."""
    router = APIRouter(tags=["Hugging Face"])
    bound = limits.bytes * 4 // 3 + JSON_OVERHEAD

    @router.post(
        "/",
        response_model=list[LabelScore],
        responses=document_problems(*_PROBLEMS),
        openapi_extra=_describe_body(limits),
        summary="Classify an image for Hugging Face's clients",
    )
    async def classify(request: Request) -> Response:
        """Classify an image: its bytes as the body, or JSON with `inputs` in base64 and `parameters`."""
        async with answering.take(request) as turn:
            return await turn.work(partial(_respond, await turn.read_body(bound)))

    return router


def _describe_body(limits: Limits) -> dict[str, Any]:
    return {
        "requestBody": {
            "required": True,
            "description": "An image, or JSON. The first bytes decide which it is, not the Content-Type.",
            "content": {
                **describe_images(limits),
                "application/json": {"schema": {"$ref": "#/components/schemas/TaskInput"}},
            },
        }
    }


def _respond(body: bytes, work: Work) -> Response:
    asked = parse_json(body, TaskInput) if begins_like_json(body) else TaskInput.model_construct(inputs=body)
    image = work.find(ImageBytes(asked.inputs))
    answer = work.classify(image)
    work.keep(answer, work.request_id, image)
    content = [{"label": label, "score": score} for label, score in _choose(work.loaded, answer, asked.parameters)]
    return Response(orjson.dumps(content), media_type="application/json")


def _choose(loaded: LoadedClassifier, answer: Answer, wanted: TaskParameters) -> list[tuple[str, float]]:
    """Return labels and scores, best first: what every route answers, unless something else is wanted."""
    if wanted.top_k is None and wanted.function_to_apply is None:
        return [(found.label, found.confidence) for found in answer.predictions]
    scores = loaded.model.activate(answer.outputs, wanted.function_to_apply)
    best = find_best(scores, wanted.top_k or loaded.spec.top_k)
    return [(loaded.labels[index], float(scores[index])) for index in best]
