"""What is logged of a prediction: one line of JSON in the spool. No I/O."""

from dataclasses import dataclass
from uuid import UUID

import orjson
from pydantic import TypeAdapter, ValidationError

from classifier_inference.model.prediction import Prediction


@dataclass(frozen=True, slots=True)
class RecordedModel:
    """Which model answered: its version in the object, and its digest in hex."""

    version: str
    sha256: str


@dataclass(frozen=True, slots=True)
class RecordedImage:
    """What was classified."""

    name: str | None
    """As it was sent: a file's name in a form, or the path's last part; None for bytes without a name."""
    format: str
    width: int
    height: int
    """Pixels, before EXIF turned it."""
    bytes: int
    logged: bool
    """Whether the image was to follow in the window's tar; what is missing there then was dropped, and counted."""


@dataclass(frozen=True, slots=True)
class RecordedMilliseconds:
    """Where the time went."""

    read: float
    queue: float
    decode: float
    infer: float


@dataclass(frozen=True, slots=True)
class ImageRef:
    """Where an image's bytes begin in its window's tar, and how many there are."""

    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class Record:
    """One prediction that was answered."""

    request_id: str
    """A UUIDv7, with hyphens."""
    time: str
    """When it was answered: ISO 8601, UTC, to a millisecond."""
    classifier: str
    namespace: str
    pod: str
    model: RecordedModel
    device: str
    image: RecordedImage
    predictions: list[Prediction]
    """Best first."""
    milliseconds: RecordedMilliseconds
    client_request_id: str | None = None
    """The client's own id of the request, if it brought one."""
    image_ref: ImageRef | None = None
    """None in the spool, where the image comes after the record; known once the window is sealed."""


_RECORD = TypeAdapter(Record)


def render_record(record: Record) -> bytes:
    """Return the record's line, its newline included."""
    return orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE)


def parse_record(line: bytes) -> Record | None:
    """Return the record of a line, or None for a line that a kill or a full disk tore."""
    try:
        return _RECORD.validate_json(line)
    except ValidationError:
        return None


def read_milliseconds(request_id: UUID) -> int:
    """Return the Unix time in milliseconds that a UUIDv7 holds."""
    return request_id.int >> 80
