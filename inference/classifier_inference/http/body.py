"""What a request's body is: its first bytes decide, not its Content-Type. No I/O but reading the request."""

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from classifier_inference.engine.memory import HeldBody
from classifier_inference.http.json_body import parse_json
from classifier_inference.http.problem import Kind, ProblemError
from classifier_inference.http.v1.schemas import InferenceInput
from classifier_inference.images.sniff import EncodedImage, sniff
from classifier_inference.spec.limits import Limits
from classifier_inference.stores.named_images import SCHEMES

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

MULTIPART_OVERHEAD = 64 * 1024
"""Bytes that a multipart body may have beside its images."""

JSON_BYTES = 2**20
"""What JSON that names images by their paths may have: parsing it takes a multiple in memory."""

COPIES = 2
"""How often a body is in memory at most: in pieces and joined, or joined and cut into parts."""

FIELD = "file"

MOST_PARTS = 2000
MOST_HEADERS = 10_000
"""Of a form: each costs a few calls, and no other thread runs meanwhile."""

_BLANKS = b" \t\r\n"
_BEFORE_JSON = _BLANKS + b"{"
_BOUNDARY = re.compile(rb"--([0-9A-Za-z'()+_,\-./:=? ]{0,69}[0-9A-Za-z'()+_,\-./:=?])[ \t]*\r\n")
"""A delimiter line (RFC 2046, 5.1.1)."""


@dataclass(frozen=True)
class ImageBytes:
    """An image, encoded."""

    content: bytes
    name: str | None = None
    """As a form calls it."""

    @cached_property
    def sniffed(self) -> EncodedImage:
        """The bytes with the format that the first of them name, looked for once."""
        return sniff(self.content)


@dataclass(frozen=True)
class ImagePath:
    """A path that names one."""

    path: str


@dataclass(frozen=True)
class Several:
    """Images that are answered one by one."""

    images: list[ImageBytes | ImagePath]


async def read_body(request: Request, limit_bytes: int, held: HeldBody) -> bytes:
    """Return the whole body, counted in `held` before it comes, where its length is declared.

    Raises ProblemError as soon as it is known to be over the limit, without reading on; and what `held` raises.
    """
    bound = limit_bytes + MULTIPART_OVERHEAD
    declared = int(request.headers.get("content-length", 0))
    if declared > bound:
        raise _body_too_long(bound)
    held.grow(declared * COPIES)
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > bound:
            raise _body_too_long(bound)
        if not declared:
            held.grow(len(chunk) * COPIES)
        chunks.append(chunk)
    return b"".join(chunks)


def parse_named(body: bytes, limits: Limits) -> ImagePath | Several | None:
    """Return the paths that a body of JSON names; None for a body that is no JSON. Raises ProblemError."""
    return _parse_json(body, limits) if begins_like_json(body) else None


def parse_sent(body: bytes, content_type: str, limits: Limits) -> ImageBytes | Several:
    """Return the images that a body holds. Raises ProblemError for what is neither an image nor a form."""
    if not body:
        raise ProblemError(Kind.EMPTY_BODY, "send an image's bytes, a multipart field `file`, or JSON with image_path")
    image = ImageBytes(body)
    if image.sniffed.format is not None:
        return image
    delimiter = _BOUNDARY.match(body)
    if delimiter is not None:
        return _parse_multipart(body, delimiter[1], limits)
    if content_type.partition(";")[0].strip().lower() == "application/json":
        raise ProblemError(Kind.MALFORMED_JSON, 'JSON must be an object such as {"image_path": "cat.jpg"}')
    raise ProblemError(Kind.NOT_AN_IMAGE, "the bytes are not those of one")


def list_addresses(named: ImagePath | Several | None) -> list[str]:
    """Return the addresses among the paths that a body names."""
    match named:
        case ImagePath(path):
            paths = [path]
        case Several(images):
            paths = [image.path for image in images if isinstance(image, ImagePath)]
        case None:
            paths = []
    return [path for path in paths if is_address(path)]


def begins_like_json(body: bytes) -> bool:
    """Return whether a body is a JSON object, if it is anything."""
    # Not of an image: that would be a copy of it.
    return body[:1] in _BEFORE_JSON and body.lstrip(_BLANKS).startswith(b"{")


def is_address(path: str) -> bool:
    """Return whether an image_path names an image elsewhere."""
    return path.startswith(SCHEMES)


def too_many_bytes(limit_bytes: int) -> ProblemError:
    """Return the problem of an image over the limit."""
    return ProblemError(Kind.TOO_MANY_BYTES, f"an image may have at most {limit_bytes} bytes")


def require_batch(count: int, limits: Limits) -> None:
    """Raise ProblemError for more images than one request may have."""
    if count > limits.batch:
        raise ProblemError(
            Kind.TOO_MANY_IMAGES, f"the request has {count} images; limits.batch lets it have {limits.batch}"
        )


def describe_images(limits: Limits) -> dict[str, Any]:
    """Return, for OpenAPI, the media types of a body that is an image itself."""
    names = [*(f"image/{name}" for name in limits.formats), "application/octet-stream"]
    return {name: {"schema": {"type": "string", "format": "binary"}} for name in names}


def _body_too_long(bound: int) -> ProblemError:
    return ProblemError(Kind.TOO_MANY_BYTES, f"the body may have at most {bound} bytes")


def _parse_json(body: bytes, limits: Limits) -> ImagePath | Several:
    if len(body) > JSON_BYTES:
        raise ProblemError(Kind.TOO_MANY_BYTES, f"JSON may have at most {JSON_BYTES} bytes here")
    asked = parse_json(body, InferenceInput)
    if asked.image_path:
        return ImagePath(asked.image_path)
    require_batch(len(asked.image_paths), limits)
    return Several([ImagePath(path) for path in asked.image_paths])


class _Parts:
    """Collects the parts of a multipart body that are called `file`."""

    def __init__(self) -> None:
        self.files: list[ImageBytes] = []
        self._parts = 0
        self._headers = 0
        self.ended = False
        self._name = b""
        self._value = b""
        self._data: list[bytes] | None = None
        self._filename: str | None = None

    @property
    def callbacks(self) -> "MultipartCallbacks":
        """The methods below, as the parser takes them."""
        return {
            "on_part_begin": self.on_part_begin,
            "on_header_begin": self.on_header_begin,
            "on_header_field": self.on_header_field,
            "on_header_value": self.on_header_value,
            "on_header_end": self.on_header_end,
            "on_part_data": self.on_part_data,
            "on_part_end": self.on_part_end,
            "on_end": self.on_end,
        }

    def on_part_begin(self) -> None:
        self._parts += 1
        if self._parts > MOST_PARTS:
            raise ProblemError(Kind.INVALID_INPUT, f"a form may have at most {MOST_PARTS} parts")

    def on_header_begin(self) -> None:
        self._headers += 1
        if self._headers > MOST_HEADERS:
            raise ProblemError(Kind.INVALID_INPUT, f"a form's parts may have at most {MOST_HEADERS} headers")
        self._name = self._value = b""

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def on_header_end(self) -> None:
        if self._name.lower() == b"content-disposition":
            _, options = parse_options_header(self._value)
            if options.get(b"name") == FIELD.encode():
                self._data = []
                filename = options.get(b"filename")
                self._filename = filename.decode(errors="replace") if filename else None

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._data is not None:
            self._data.append(data[start:end])

    def on_part_end(self) -> None:
        if self._data is not None:
            self.files.append(ImageBytes(b"".join(self._data), self._filename))
        self._data = None

    def on_end(self) -> None:
        self.ended = True


def _parse_multipart(body: bytes, boundary: bytes, limits: Limits) -> ImageBytes | Several:
    parts = _Parts()
    try:
        MultipartParser(boundary, parts.callbacks).write(body)
    except FormParserError as error:
        raise ProblemError(Kind.MALFORMED_MULTIPART, str(error)) from None
    if not parts.ended:
        raise ProblemError(Kind.MALFORMED_MULTIPART, "the last delimiter is missing: the body was cut off")
    if not parts.files:
        raise ProblemError(Kind.INVALID_INPUT, f"a field called `{FIELD}` with an image is needed; the body has none")
    require_batch(len(parts.files), limits)
    return parts.files[0] if len(parts.files) == 1 else Several([*parts.files])
