"""From an answer to its record in the spool."""

from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from classifier_inference.log.record import (
    Record,
    RecordedImage,
    RecordedMilliseconds,
    RecordedModel,
    render_record,
)
from classifier_inference.log.spool.spool import Spool
from classifier_inference.log.spool.ticket import SpooledImage, Ticket
from classifier_inference.model.prediction import Prediction
from classifier_inference.spec.tracking import PredictionLog
from classifier_inference.telemetry.origin import Origin

LONGEST_NAME = 255

_SAMPLED_BITS = 32


@dataclass(frozen=True)
class Answered:
    """What is known of a prediction when it has been made."""

    request_id: str
    client_request_id: str | None
    model: RecordedModel
    device: str
    content: bytes | None
    """The image, encoded; None for one that came as pixels or as the model's input."""
    image_name: str | None
    image_format: str
    image_size: tuple[int, int]
    """(width, height) in pixels."""
    predictions: list[Prediction]
    milliseconds: RecordedMilliseconds


class PredictionLogger:
    """Logs what is to be logged. May be called from any thread."""

    def __init__(self, spool: Spool, settings: PredictionLog, origin: Origin) -> None:
        self.spool = spool
        self.origin = origin
        self._settings = settings

    def log(self, answered: Answered) -> Ticket | None:
        """Have a prediction logged; None for one that the sample leaves out."""
        request_id = UUID(answered.request_id)
        if not is_sampled(request_id, self._settings.sample):
            return None
        image = self._keep_image(answered)
        return self.spool.submit(request_id, render_record(self._build_record(answered, image is not None)), image)

    def _keep_image(self, answered: Answered) -> SpooledImage | None:
        content = answered.content
        if content is None or not self._settings.images or not self.spool.reserve_image(len(content)):
            return None
        return SpooledImage(content, answered.image_format)

    def _build_record(self, answered: Answered, keeps_image: bool) -> Record:
        width, height = answered.image_size
        name = answered.image_name
        return Record(
            request_id=answered.request_id,
            client_request_id=answered.client_request_id,
            time=datetime.now(UTC).isoformat(timespec="milliseconds"),
            classifier=self.origin.classifier,
            namespace=self.origin.namespace,
            pod=self.origin.pod,
            model=answered.model,
            device=answered.device,
            image=RecordedImage(
                name=name[:LONGEST_NAME] if name else None,
                format=answered.image_format,
                width=width,
                height=height,
                bytes=len(answered.content or b""),
                logged=keeps_image,
            ),
            predictions=answered.predictions,
            milliseconds=answered.milliseconds,
        )


def is_sampled(request_id: UUID, share: float) -> bool:
    """Return whether a request is in the sample: its last bits are random, so no other number needs to be drawn."""
    return (request_id.int & (1 << _SAMPLED_BITS) - 1) < share * (1 << _SAMPLED_BITS)
