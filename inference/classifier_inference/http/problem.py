"""Errors as application/problem+json (RFC 9457), each with a type that stays the same."""

from collections.abc import Mapping
from enum import Enum

import orjson
from starlette.responses import Response

MEDIA_TYPE = "application/problem+json"
MOST_DETAIL = 500
"""Characters of a detail: it may repeat what was sent."""
TYPE_BASE = "https://imageclassifier.dev/problems/"


class Kind(Enum):
    """Every problem: the last part of its type, its status and its title."""

    MALFORMED_REQUEST = "malformed-request", 400, "This is not HTTP"
    EMPTY_BODY = "empty-body", 400, "The body is empty"
    NOT_AN_IMAGE = "not-an-image", 400, "This is not an image"
    BROKEN_IMAGE = "broken-image", 400, "The image is damaged"
    UNAUTHORIZED = "unauthorized", 401, "An API key is needed"
    ADDRESS_NOT_ALLOWED = "address-not-allowed", 403, "Images from this address are not taken"
    OUTSIDE_IMAGE_ROOT = "outside-image-root", 403, "The path is outside the image root"
    IMAGE_ROOT_UNSET = "image-root-unset", 403, "Paths are not taken here"
    NO_SUCH_IMAGE = "no-such-image", 404, "There is no such image"
    NOT_TRACKED = "not-tracked", 404, "Predictions are not tracked here"
    NO_SUCH_RUN = "no-such-run", 404, "There is no such run"
    NO_SUCH_MODEL = "no-such-model", 404, "There is no such model"
    NO_SUCH_ROUTE = "no-such-route", 404, "There is no such route"
    METHOD_NOT_ALLOWED = "method-not-allowed", 405, "The route doesn't take this method"
    REQUEST_TIMEOUT = "request-timeout", 408, "The request comes too slowly"
    TOO_MANY_BYTES = "too-many-bytes", 413, "The image has too many bytes"
    TOO_MANY_IMAGES = "too-many-images", 413, "The request has too many images"
    TOO_MANY_PIXELS = "too-many-pixels", 413, "The image has too many pixels"
    TOO_MUCH_DECODING = "too-much-decoding", 413, "The image takes too much to decode"
    TOO_MUCH_MEMORY = "too-much-memory", 413, "This takes more memory than there is for requests"
    UNSUPPORTED_FORMAT = "unsupported-format", 415, "Images of this format are not taken"
    UNSUPPORTED_ENCODING = "unsupported-encoding", 415, "Bodies of this Content-Encoding are not taken"
    MALFORMED_ENCODING = "malformed-encoding", 422, "The body is not what its Content-Encoding says"
    MALFORMED_JSON = "malformed-json", 422, "The body is not well-formed JSON"
    MALFORMED_MULTIPART = "malformed-multipart", 422, "The body is not well-formed multipart/form-data"
    INVALID_INPUT = "invalid-input", 422, "The input doesn't fit the schema"
    UNUSABLE_PATH = "unusable-path", 422, "The path can't name an image"
    MEMORY_FULL = "memory-full", 429, "Requests in flight take all memory there is for them"
    QUEUE_FULL = "queue-full", 429, "Too many requests wait"
    INTERNAL = "internal", 500, "The server failed"
    IMAGE_UNREACHABLE = "image-unreachable", 502, "The image's server doesn't give it"
    TRACKING_REFUSED = "tracking-refused", 502, "The tracking server or its store refuses this"
    NOT_READY = "not-ready", 503, "The model is not loaded yet"
    TRACKING_AWAY = "tracking-away", 503, "The tracking server or its store is away"
    IMAGE_TIMEOUT = "image-timeout", 504, "The image's server takes too long"

    def __init__(self, slug: str, status: int, title: str) -> None:
        self.slug = slug
        self.status = status
        self.title = title


class ProblemError(Exception):
    """A request that can't be answered; the detail says why, for whoever sent it."""

    def __init__(self, kind: Kind, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail if len(detail) <= MOST_DETAIL else f"{detail[: MOST_DETAIL - 1]}…"
        self.headers = dict(headers or {})


def describe_problem(problem: ProblemError, request_id: str) -> dict[str, object]:
    """Return what the problem is, as a Problem has it."""
    return {
        "type": TYPE_BASE + problem.kind.slug,
        "title": problem.kind.title,
        "status": problem.kind.status,
        "detail": problem.detail,
        "request_id": request_id,
    }


def render_problem(problem: ProblemError, request_id: str, *, names_error: bool = False) -> Response:
    """Return the response that says what the problem is, in the member `error` too where clients look there."""
    content = describe_problem(problem, request_id)
    if names_error:
        content["error"] = f"{problem.kind.title}: {problem.detail}"
    return Response(orjson.dumps(content), problem.kind.status, problem.headers, MEDIA_TYPE)


def document_problems(*kinds: Kind) -> dict[int | str, dict[str, object]]:
    """Return the `responses` of a route for OpenAPI: one entry a status, an example a problem."""
    responses: dict[int | str, dict[str, object]] = {}
    for status in sorted({kind.status for kind in kinds}):
        having = [kind for kind in kinds if kind.status == status]
        examples = {
            kind.slug: {"value": {"type": TYPE_BASE + kind.slug, "title": kind.title, "status": kind.status}}
            for kind in having
        }
        responses[status] = {
            "description": "; ".join(kind.title for kind in having),
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}, "examples": examples}},
        }
    return responses
