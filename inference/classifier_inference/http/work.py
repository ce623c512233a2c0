"""One request on its worker thread: the image is found, classified, and its record is on its way to the spool."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import PurePosixPath
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from classifier_inference.engine.memory import NeverFitsError
from classifier_inference.http.admission import never_fits
from classifier_inference.http.body import ImageBytes, ImagePath, is_address, too_many_bytes
from classifier_inference.http.finding import Brought, Finder
from classifier_inference.http.problem import Kind, ProblemError
from classifier_inference.http.stages import Stages
from classifier_inference.images.decode import (
    ImageError,
    NotAnImageError,
    TooManyPixelsError,
    TooMuchDecodingError,
    UnsupportedFormatError,
)
from classifier_inference.images.preprocess import Hold
from classifier_inference.log.logger import Answered, PredictionLogger
from classifier_inference.log.record import RecordedMilliseconds, RecordedModel
from classifier_inference.log.spool.ticket import Ticket
from classifier_inference.model.loaded_classifier import Answer, LoadedClassifier

_KINDS = {
    TooManyPixelsError: Kind.TOO_MANY_PIXELS,
    TooMuchDecodingError: Kind.TOO_MUCH_DECODING,
    UnsupportedFormatError: Kind.UNSUPPORTED_FORMAT,
    NotAnImageError: Kind.NOT_AN_IMAGE,
}


@dataclass
class Work:
    """What a request may use, and what came of it."""

    loaded: LoadedClassifier
    hold: Hold
    """Counts pixels for as long as they are held."""
    finder: Finder
    log: PredictionLogger | None
    new_request_id: Callable[[], str]
    request_id: str
    client_request_id: str | None
    """The client's own, if it brought one."""
    stages: Stages
    answers: list[Answer] = field(default_factory=list)
    """What the request is answered with, image by image."""
    brought: Brought = field(default_factory=dict)
    """What was found at the addresses that it names."""
    tickets: list[Ticket] = field(default_factory=list)
    """What the answers' records are waited for by."""

    def find(self, asked: ImageBytes | ImagePath) -> ImageBytes:
        """Return the image that is asked about. Raises ProblemError."""
        limit = self.loaded.spec.limits.bytes
        match asked:
            case ImagePath(path) if is_address(path):
                return ImageBytes(self._take_brought(path), PurePosixPath(urlsplit(path).path).name)
            case ImagePath(path):
                return ImageBytes(self.finder.read(path), PurePosixPath(path).name)
            case ImageBytes(b"", _):
                raise ProblemError(Kind.EMPTY_BODY, "the image is empty")
            case ImageBytes(content, _) if len(content) > limit:
                raise too_many_bytes(limit)
            case image:
                return image

    def _take_brought(self, address: str) -> bytes:
        found = self.brought[address]
        if isinstance(found, ProblemError):
            raise found
        return found

    def classify(self, image: ImageBytes) -> Answer:
        """Return the answer for an encoded image. Raises ProblemError."""
        return self._explain(partial(self.loaded.classify, image.sniffed))

    def classify_pixels(self, pixels: NDArray[np.uint8]) -> Answer:
        """Return the answer for an image's pixels, height x width x RGB. Raises ProblemError."""
        return self._explain(partial(self.loaded.classify_pixels, pixels))

    def _explain(self, classify: Callable[[Hold], Answer]) -> Answer:
        try:
            return classify(self.hold)
        except ImageError as error:
            raise ProblemError(_KINDS.get(type(error), Kind.BROKEN_IMAGE), str(error)) from error
        except NeverFitsError as error:
            raise never_fits(error) from None

    def keep(self, answer: Answer, request_id: str, image: ImageBytes | None) -> None:
        """Count an answer, and have it logged; `image` is None for what came decoded."""
        self.answers.append(answer)
        if self.log is None:
            return
        # From here and not from the event loop: while that wakes up, the record is being written.
        ticket = self.log.log(self._describe(answer, request_id, image))
        if ticket is not None:
            self.tickets.append(ticket)

    def _describe(self, answer: Answer, request_id: str, image: ImageBytes | None) -> Answered:
        spec = self.loaded.spec
        return Answered(
            request_id=request_id,
            client_request_id=self.client_request_id,
            model=RecordedModel(spec.model.version, self.loaded.sha256),
            device=spec.runtime.device,
            content=image.content if image is not None else None,
            image_name=image.name if image is not None else None,
            image_format=answer.source.format,
            image_size=answer.source.size,
            predictions=answer.predictions,
            milliseconds=RecordedMilliseconds(
                read=to_milliseconds(self.stages.read_seconds),
                queue=to_milliseconds(self.stages.queued_seconds),
                decode=to_milliseconds(answer.decode_seconds),
                infer=to_milliseconds(answer.infer_seconds),
            ),
        )


def to_milliseconds(seconds: float) -> float:
    """Return seconds as milliseconds, to a microsecond."""
    return round(seconds * 1000, 3)
