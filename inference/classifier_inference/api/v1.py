"""Our own protocol: POST /api/v1/predict and GET /api/v1/health."""

import time
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import orjson
from fastapi import APIRouter, Request
from starlette.responses import Response

from classifier_inference import image_root
from classifier_inference.api.body import ImageBytes, ImagePath, parse_body, read_body, too_many_bytes
from classifier_inference.api.problem import Kind, ProblemError, document_problems
from classifier_inference.api.resources import describe_health
from classifier_inference.api.schemas import Health, InferenceResponse
from classifier_inference.classifier import Answer, LoadedClassifier
from classifier_inference.decode import ImageError, NotAnImageError, TooManyPixelsError, UnsupportedFormatError
from classifier_inference.pool import QueueFullError
from classifier_inference.prediction_log.logger import Answered, PredictionLogger
from classifier_inference.prediction_log.record import RecordedMilliseconds, RecordedModel
from classifier_inference.prediction_log.ticket import Ticket
from classifier_inference.serving import Serving

PREDICT_PATH = "/api/v1/predict"

_ELSEWHERE = {
    Kind.NO_SUCH_ROUTE,
    Kind.METHOD_NOT_ALLOWED,
    Kind.NOT_TRACKED,
    Kind.NO_SUCH_RUN,
    Kind.TRACKING_REFUSED,
    Kind.TRACKING_AWAY,
}
_PROBLEMS = [kind for kind in Kind if kind not in _ELSEWHERE]
_BINARY = {"schema": {"type": "string", "format": "binary"}}
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "An image in one of three forms. The first bytes decide which it is, not the Content-Type.",
        "content": {
            "multipart/form-data": {
                "schema": {"type": "object", "required": ["file"], "properties": {"file": _BINARY["schema"]}}
            },
            "application/json": {"schema": {"$ref": "#/components/schemas/InferenceInput"}},
            "image/*": _BINARY,
            "application/octet-stream": _BINARY,
        },
    }
}


@dataclass(frozen=True)
class Work:
    """What a worker thread is given: all that needs no event loop, parsing included."""

    loaded: LoadedClassifier
    image_root: Path | None
    log: PredictionLogger | None
    request_id: str
    body: bytes
    content_type: str
    read_seconds: float
    asked: float
    """When it was handed over, by time.perf_counter."""

    def run(self) -> tuple[Answer, Ticket | None]:
        """Return the answer, and what its record is waited for by. Raises ProblemError."""
        queued = time.perf_counter() - self.asked
        limit = self.loaded.spec.limits.bytes
        match parse_body(self.body, self.content_type, limit):
            case ImageBytes(content, name):
                pass
            case ImagePath(path):
                content, name = read_image(self.image_root, path, limit), PurePosixPath(path).name
        answer = classify(self.loaded, content)
        if self.log is None:
            return answer, None
        # From here and not from the event loop: while that wakes up, the record is being written.
        return answer, self.log.log(self._describe(answer, content, name, queued))

    def _describe(self, answer: Answer, content: bytes, name: str | None, queued: float) -> Answered:
        loaded = self.loaded
        return Answered(
            request_id=self.request_id,
            model=RecordedModel(loaded.spec.model.version, loaded.sha256),
            device=loaded.spec.runtime.device,
            content=content,
            image_name=name,
            image_format=answer.source.format,
            image_size=answer.source.size,
            predictions=answer.predictions,
            milliseconds=RecordedMilliseconds(
                read=to_milliseconds(self.read_seconds),
                queue=to_milliseconds(queued),
                decode=to_milliseconds(answer.decode_seconds),
                infer=to_milliseconds(answer.infer_seconds),
            ),
        )


def make_router(serving: Serving) -> APIRouter:
    """Return the routes."""
    router = APIRouter(tags=["v1"])

    @router.post(
        PREDICT_PATH,
        response_model=InferenceResponse,
        responses=document_problems(*_PROBLEMS),
        openapi_extra=_BODY,
        summary="Classify an image",
    )
    async def predict(request: Request) -> Response:
        """Classify an image: its bytes as the body, a multipart field `file`, or JSON with `image_path`."""
        started = time.perf_counter()
        loaded = require_ready(serving)
        body = await read_body(request, loaded.spec.limits.bytes)
        read = time.perf_counter()
        work = Work(
            loaded=loaded,
            image_root=serving.image_root,
            log=serving.log,
            request_id=request.state.request_id,
            body=body,
            content_type=request.headers.get("content-type", ""),
            read_seconds=read - started,
            asked=read,
        )
        try:
            (answer, ticket), queued = await serving.pool.run(work.run)
        except QueueFullError:
            raise queue_full() from None
        if ticket is not None and serving.log is not None:
            await serving.log.spool.confirm(ticket)
        observe(serving, read - started, queued, answer, time.perf_counter() - started)
        request.state.answer = answer.predictions[0]
        content = render_answer(loaded, answer, queued, request.state.request_id)
        return Response(orjson.dumps(content), media_type="application/json")

    @router.get("/api/v1/health", response_model=Health, responses={503: {"model": Health, "description": "Loading"}})
    def health() -> Response:
        """Tell how the server is doing; 503 only while it can't answer predictions."""
        status = 200 if serving.loaded else 503
        content = describe_health(serving).model_dump()
        return Response(orjson.dumps(content), status, media_type="application/json")

    return router


def require_ready(serving: Serving) -> LoadedClassifier:
    """Return the loaded classifier. Raises ProblemError where there is none yet, or no place in the queue."""
    if serving.loaded is None:
        raise ProblemError(Kind.NOT_READY, "the model is being loaded", {"Retry-After": "1"})
    if serving.pool.is_full:
        raise queue_full()
    return serving.loaded


def queue_full() -> ProblemError:
    """Return the problem of a request that finds no place in the queue."""
    return ProblemError(Kind.QUEUE_FULL, "too many requests wait already", {"Retry-After": "1"})


def classify(loaded: LoadedClassifier, content: bytes) -> Answer:
    """Return the answer for an encoded image. Raises ProblemError."""
    try:
        return loaded.classify(content)
    except TooManyPixelsError as error:
        raise ProblemError(Kind.TOO_MANY_PIXELS, str(error)) from error
    except UnsupportedFormatError as error:
        raise ProblemError(Kind.UNSUPPORTED_FORMAT, str(error)) from error
    except NotAnImageError as error:
        raise ProblemError(Kind.NOT_AN_IMAGE, str(error)) from error
    except ImageError as error:
        raise ProblemError(Kind.BROKEN_IMAGE, str(error)) from error


def read_image(root: Path | None, path: str, limit_bytes: int) -> bytes:
    """Return the content of the file that a request names. Raises ProblemError."""
    if root is None:
        raise ProblemError(Kind.IMAGE_ROOT_UNSET, "image_path is refused: this server was started without IMAGE_ROOT")
    if "://" in path:
        raise ProblemError(Kind.UNUSABLE_PATH, "addresses are not taken: image_path names a file under the image root")
    try:
        return image_root.read_file(root, path, limit_bytes)
    except image_root.OutsideError:
        raise ProblemError(Kind.OUTSIDE_IMAGE_ROOT, "image_path leads out of the image root") from None
    except image_root.NoSuchFileError:
        raise ProblemError(Kind.NO_SUCH_IMAGE, "there is no such file under the image root") from None
    except image_root.UnusablePathError as error:
        raise ProblemError(Kind.UNUSABLE_PATH, f"image_path can't be read: {error}") from None
    except image_root.TooLargeError:
        raise too_many_bytes(limit_bytes) from None


def observe(serving: Serving, read: float, queued: float, answer: Answer, total: float) -> None:
    """Count an answer's seconds, by stage."""
    stages = {
        "read": read,
        "queue": queued,
        "decode": answer.decode_seconds,
        "infer": answer.infer_seconds,
        "total": total,
    }
    for stage, seconds in stages.items():
        serving.metrics.duration.labels(stage).observe(seconds)


def render_answer(loaded: LoadedClassifier, answer: Answer, queued: float, request_id: str) -> dict[str, Any]:
    """Return an InferenceResponse's content."""
    return {
        "request_id": request_id,
        "predictions": answer.predictions,
        "model": {"name": loaded.name, "version": loaded.spec.model.version, "sha256": loaded.sha256},
        "milliseconds": {
            "decode": to_milliseconds(answer.decode_seconds),
            "queue": to_milliseconds(queued),
            "infer": to_milliseconds(answer.infer_seconds),
        },
    }


def to_milliseconds(seconds: float) -> float:
    """Return seconds as milliseconds, to a microsecond."""
    return round(seconds * 1000, 3)
