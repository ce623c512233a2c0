"""What every protocol does with a request for predictions: its place in the queue, a worker thread, log and metrics.

A photo's way, from `POST /api/v1/predict`:

    http/protocol.py            bytes to a request; http/middleware.py gives it an id, a line, a count
    v1/predict.py               predict: takes a turn here, and reads on in this order
    Answering.take              the model is loaded; a place in the queue; memory for the body (admission.py)
    Turn.read_body              the body, counted as it comes (body.py)
    Turn.bring                  what lies at the addresses that it names (finding.py)
    Turn.work                   on to a worker thread (engine/pool.py)
    Work.find                   the image (work.py) among what was sent, brought, or lies under the image root
    Work.classify               model/loaded_classifier.py: images/preprocess.py, then model/onnx_model.py
    Work.keep                   its record to the spool (log/logger.py)
    v1/predict.py               the answer as JSON; then here: the spool has the record, stages are counted
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

from fastapi import Request

from classifier_inference.engine.memory import HeldBody
from classifier_inference.engine.pool import Place
from classifier_inference.http.admission import Admission
from classifier_inference.http.body import read_body
from classifier_inference.http.exchange import Exchange, find_exchange
from classifier_inference.http.finding import Finder
from classifier_inference.http.leaving import run_while_asked
from classifier_inference.http.lifecycle import Lifecycle
from classifier_inference.http.stages import Stages
from classifier_inference.http.work import Work
from classifier_inference.log.logger import PredictionLogger
from classifier_inference.telemetry.metrics import Metrics

ResultT = TypeVar("ResultT")


@dataclass(frozen=True)
class Answering:
    """What predictions are answered with, whatever the protocol."""

    lifecycle: Lifecycle
    admission: Admission
    finder: Finder
    log: PredictionLogger | None
    """What logs predictions; None where they aren't to be logged."""
    metrics: Metrics
    new_request_id: Callable[[], str]

    @asynccontextmanager
    async def take(self, request: Request) -> AsyncIterator["Turn"]:
        """Give a request its turn; after it what it was answered is in the spool and counted.

        Raises ProblemError, before the body is read where the server can't answer anyway.
        """
        exchange = find_exchange(request.scope)
        exchange.is_prediction = True
        with self.metrics.in_flight.track_inprogress():
            started = time.perf_counter()
            loaded = self.lifecycle.require_loaded()
            with self.admission.admit() as (place, held):
                stages = Stages(started, 0)
                work = Work(
                    loaded=loaded,
                    hold=self.admission.memory.hold_pixels,
                    finder=self.finder,
                    log=self.log,
                    new_request_id=self.new_request_id,
                    request_id=exchange.request_id,
                    client_request_id=exchange.client_request_id,
                    stages=stages,
                )
                yield Turn(self, request, exchange, place, held, work)
            if self.log is not None:
                await asyncio.gather(*map(self.log.spool.confirm, work.tickets))
            self._count(work, time.perf_counter() - started)
            exchange.answers = work.answers

    def _count(self, work: Work, total: float) -> None:
        """Count a request's seconds by stage: those of decoding and of the model once an image."""
        metrics = self.metrics
        metrics.observe_seconds(read=work.stages.read_seconds, queue=work.stages.queued_seconds, total=total)
        for answer in work.answers:
            metrics.observe_seconds(decode=answer.decode_seconds, infer=answer.infer_seconds)
            metrics.observe_image(answer.source.format, answer.source.size)
            if answer.predictions:
                best = answer.predictions[0]
                metrics.observe_class(best.label, best.class_id, best.confidence)
            else:
                metrics.observe_no_class()
        if work.answers:
            metrics.last_answer = time.time()


class Turn:
    """One request's turn, on the event loop: its body is read, and what it needs is brought, before it is worked on."""

    def __init__(
        self, answering: Answering, request: Request, exchange: Exchange, place: Place, held: HeldBody, work: Work
    ) -> None:
        self._answering = answering
        self._request = request
        self._exchange = exchange
        self._place = place
        self._held = held
        self._work = work

    async def read_body(self, limit_bytes: int) -> bytes:
        """Return the whole body. Raises ProblemError."""
        return await read_body(self._request, limit_bytes, self._held)

    async def bring(self, addresses: list[str]) -> None:
        """Have what lies at some addresses at hand for the work."""
        if addresses:
            self._work.brought = await self._answering.finder.bring(addresses, self._held, self._exchange.trace)

    async def work(self, respond: Callable[[Work], ResultT]) -> ResultT:
        """Return what `respond` returns, on a worker thread: decoding and rendering need no event loop."""
        read = time.perf_counter()
        work, stages = self._work, self._work.stages
        stages.read_seconds = read - stages.started

        def begin() -> ResultT:
            stages.queued_seconds = time.perf_counter() - read
            return respond(work)

        self._exchange.stages = stages
        return await run_while_asked(self._answering.admission.pool, begin, self._place, self._exchange.client)
