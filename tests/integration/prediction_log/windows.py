"""Windows as a server seals them, made without one."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from uuid_utils import uuid7

from classifier_inference.log.record import (
    Record,
    RecordedImage,
    RecordedMilliseconds,
    RecordedModel,
    render_record,
)
from classifier_inference.log.spool.windows import LOCK, OPEN_SUFFIX, TAR_END, TAR_SUFFIX, build_member, seal
from classifier_inference.model.prediction import Prediction
from tests.tiny_model import make_image

IMAGE = make_image("red")


@dataclass(frozen=True)
class Written:
    """A window's id, and the request ids in it."""

    id: str
    requests: list[str] = field(default_factory=list)


def make_record(
    milliseconds: int,
    *,
    name: str | None = "cat.jpg",
    labels: Sequence[str] = ("red", "green"),
    confidence: float = 0.75,
    classifier: str = "colours",
    pod: str = "pod-1",
    version: str = "1",
) -> Record:
    """A record of a prediction that was answered at a time."""
    rest = (1 - confidence) / max(len(labels) - 1, 1)
    return Record(
        request_id=str(uuid7(nanoseconds=milliseconds * 1_000_000)),
        time=datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds"),
        classifier=classifier,
        namespace="team-a",
        pod=pod,
        model=RecordedModel(version, "0" * 64),
        device="cpu",
        image=RecordedImage(name, "png", 16, 16, len(IMAGE), logged=True),
        predictions=[
            Prediction(label, number, confidence if number == 0 else rest) for number, label in enumerate(labels)
        ],
        milliseconds=RecordedMilliseconds(read=1, queue=0, decode=2, infer=3),
    )


def write_window(
    folder: Path,
    start: int,
    records: Sequence[Record] | int = 3,
    *,
    image: bytes | None = IMAGE,
    sealed: bool = True,
) -> Written:
    """Write a window that began at a time (Unix, milliseconds), with an image for each of its records."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / LOCK).touch()
    if isinstance(records, int):
        records = [make_record(start + number) for number in range(records)]
    window = uuid7(nanoseconds=start * 1_000_000).hex
    if image is not None:
        with (folder / (window + TAR_SUFFIX)).open("wb") as tar:
            for record in records:
                tar.writelines(build_member(record.request_id, "png", image, start // 1000))
            tar.write(TAR_END)
    path = folder / (window + OPEN_SUFFIX)
    path.write_bytes(b"".join(map(render_record, records)))
    if sealed:
        seal(path)
    return Written(window, [record.request_id for record in records])
