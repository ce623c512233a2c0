"""What every protocol does with a request for predictions: its place in the queue, a worker thread, log and metrics."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

import numpy as np
from fastapi import Request
from numpy.typing import NDArray
from starlette.responses import Response

from classifier_inference.engine.memory import HeldBody, MemoryFullError, NeverFitsError
from classifier_inference.engine.pool import Place, QueueFullError
from classifier_inference.http.body import ImageBytes, ImagePath, is_address, read_body, too_many_bytes
from classifier_inference.http.bringing import Brought, bring_images
from classifier_inference.http.leaving import run_while_asked
from classifier_inference.http.problem import Kind, ProblemError
from classifier_inference.http.serving import Serving
from classifier_inference.http.stages import Stages
from classifier_inference.images.decode import (
    ImageError,
    NotAnImageError,
    TooManyPixelsError,
    TooMuchDecodingError,
    UnsupportedFormatError,
)
from classifier_inference.images.preprocess import Hold
from classifier_inference.log.logger import Answered
from classifier_inference.log.record import RecordedMilliseconds, RecordedModel
from classifier_inference.log.spool.ticket import Ticket
from classifier_inference.model.loaded_classifier import Answer, LoadedClassifier
from classifier_inference.stores import image_root

PLACE_SECONDS = 1.0
"""How long a request keeps its place in the queue while its body comes: on a fast line it is all there by then."""


@dataclass
class Work:
    """One request on its worker thread: what it may use, and what came of it."""

    serving: Serving
    loaded: LoadedClassifier
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

    def fetch(self, asked: ImageBytes | ImagePath) -> ImageBytes:
        """Return the image that is asked about. Raises ProblemError."""
        limit = self.loaded.spec.limits.bytes
        match asked:
            case ImagePath(path) if is_address(path):
                return ImageBytes(self._take_brought(path), PurePosixPath(urlsplit(path).path).name)
            case ImagePath(path):
                return ImageBytes(read_image(self.serving.image_root, path, limit), PurePosixPath(path).name)
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
            return classify(self.serving.memory.hold_pixels)
        except ImageError as error:
            raise explain_image(error) from error
        except NeverFitsError as error:
            raise never_fits(error) from None

    def keep(self, answer: Answer, request_id: str, image: ImageBytes | None) -> None:
        """Count an answer, and have it logged; `image` is None for what came decoded."""
        self.answers.append(answer)
        if self.serving.log is None:
            return
        # From here and not from the event loop: while that wakes up, the record is being written.
        ticket = self.serving.log.log(self._describe(answer, request_id, image))
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


def _name_no_address(body: bytes) -> list[str]:
    return []


async def answer_request(
    serving: Serving,
    request: Request,
    limit_bytes: int,
    respond: Callable[[Work, bytes], Response],
    list_addresses: Callable[[bytes], list[str]] = _name_no_address,
) -> Response:
    """Return what `respond` makes of the body, on a worker thread: parsing, decoding and rendering need no event loop.

    What lies at the addresses that `list_addresses` finds in it is brought before that. Raises
    ProblemError, before the body is read where the server can't answer anyway.
    """
    request.state.is_prediction = True
    with serving.metrics.in_flight.track_inprogress():
        return await _answer_prediction(serving, request, limit_bytes, respond, list_addresses)


async def _answer_prediction(
    serving: Serving,
    request: Request,
    limit_bytes: int,
    respond: Callable[[Work, bytes], Response],
    list_addresses: Callable[[bytes], list[str]],
) -> Response:
    started = time.perf_counter()
    loaded = require_loaded(serving)
    with admitted(serving) as (place, held):
        body = await read_body(request, limit_bytes, held)
        brought = await bring_images(serving, list_addresses(body), held, request.state.trace)
        read = time.perf_counter()
        state = request.state
        state.stages = stages = Stages(started, read - started)
        work = Work(serving, loaded, state.request_id, state.client_request_id, stages, brought=brought)

        def run() -> Response:
            stages.queued_seconds = time.perf_counter() - read
            return respond(work, body)

        response = await run_while_asked(serving.pool, run, place, request)
    if serving.log is not None:
        await asyncio.gather(*map(serving.log.spool.confirm, work.tickets))
    _observe(work, time.perf_counter() - started)
    if work.answers:
        serving.last_answer = time.time()
    request.state.answers = work.answers
    return response


def require_loaded(serving: Serving) -> LoadedClassifier:
    """Return the loaded classifier. Raises ProblemError where there is none yet."""
    if serving.loaded is None:
        raise ProblemError(Kind.NOT_READY, "the model is being loaded", {"Retry-After": "1"})
    return serving.loaded


@contextmanager
def admitted(serving: Serving) -> Iterator[tuple[Place, HeldBody]]:
    """Take a place in the queue and count the body's memory, both before any of it is read. Raises ProblemError."""
    try:
        with serving.pool.keep_place(PLACE_SECONDS) as place, serving.memory.hold_body() as held:
            yield place, held
    except QueueFullError:
        raise ProblemError(Kind.QUEUE_FULL, "too many requests wait already", {"Retry-After": "1"}) from None
    except MemoryFullError:
        detail = "other requests hold the memory that this one needs"
        raise ProblemError(Kind.MEMORY_FULL, detail, {"Retry-After": "1"}) from None
    except NeverFitsError as error:
        raise never_fits(error) from None


def never_fits(error: NeverFitsError) -> ProblemError:
    """Return the problem of what takes more memory than there is."""
    return ProblemError(Kind.TOO_MUCH_MEMORY, str(error))


def explain_image(error: ImageError) -> ProblemError:
    """Return the problem of an image that can't be classified."""
    kinds = {
        TooManyPixelsError: Kind.TOO_MANY_PIXELS,
        TooMuchDecodingError: Kind.TOO_MUCH_DECODING,
        UnsupportedFormatError: Kind.UNSUPPORTED_FORMAT,
        NotAnImageError: Kind.NOT_AN_IMAGE,
    }
    return ProblemError(kinds.get(type(error), Kind.BROKEN_IMAGE), str(error))


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


def to_milliseconds(seconds: float) -> float:
    """Return seconds as milliseconds, to a microsecond."""
    return round(seconds * 1000, 3)


def _observe(work: Work, total: float) -> None:
    """Count a request's seconds by stage: those of decoding and of the model once an image."""
    metrics = work.serving.metrics
    metrics.observe_seconds(read=work.stages.read_seconds, queue=work.stages.queued_seconds, total=total)
    for answer in work.answers:
        metrics.observe_seconds(decode=answer.decode_seconds, infer=answer.infer_seconds)
        metrics.observe_image(answer.source.format, answer.source.size)
        if answer.predictions:
            best = answer.predictions[0]
            metrics.observe_class(best.label, best.class_id, best.confidence)
        else:
            metrics.observe_no_class()
