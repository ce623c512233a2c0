"""Records to log, and reading back what was."""

import uuid
from pathlib import Path

from uuid_utils.compat import uuid7

from classifier_inference.log.record import (
    Record,
    RecordedImage,
    RecordedMilliseconds,
    RecordedModel,
    render_record,
)
from classifier_inference.log.spool.windows import list_sealed, read_images, read_records
from classifier_inference.model.prediction import Prediction


def new_id() -> uuid.UUID:
    return uuid7()


def make_record(request_id: uuid.UUID, *, image: bool = False) -> Record:
    return Record(
        request_id=str(request_id),
        time="2026-01-02T03:04:05.678Z",
        classifier="colours",
        namespace="default",
        pod="colours-1",
        model=RecordedModel("1", "ab" * 32),
        device="cpu",
        image=RecordedImage("röd.png", "png", 16, 16, 75, image),
        predictions=[Prediction("red", 0, 0.9), Prediction("blue", 2, 0.1)],
        milliseconds=RecordedMilliseconds(0.1, 0.2, 0.3, 0.4),
    )


def make_line(request_id: uuid.UUID, *, image: bool = False) -> bytes:
    return render_record(make_record(request_id, image=image))


def read_sealed(folder: Path) -> list[uuid.UUID]:
    """The request ids of all sealed windows."""
    return [uuid.UUID(record.request_id) for window in list_sealed(folder) for record in read_records(window.records)]


def read_sealed_images(folder: Path) -> set[uuid.UUID]:
    return {uuid.UUID(found) for window in list_sealed(folder) for found in read_images(window.images)}
