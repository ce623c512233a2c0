"""A span a request, and one for each of its stages, exported by OpenTelemetry.

Import this where spans are wanted and nowhere else: what it imports takes half a second.
"""

import logging
import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import structlog
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.semconv.attributes import service_attributes
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, Status, StatusCode, set_span_in_context

import classifier_inference
from classifier_inference.telemetry.origin import Origin
from classifier_inference.telemetry.trace_context import make_context

Attributes = Mapping[str, str | int]

_SCOPE = InstrumentationScope("classifier_inference", classifier_inference.__version__)

_log = structlog.get_logger("spans")


class Stage(NamedTuple):
    """A part of a request's time that has a span of its own."""

    name: str
    started: float
    """By time.perf_counter."""
    seconds: float
    attributes: Attributes


class Described(NamedTuple):
    """What a request's span says."""

    name: str
    attributes: Attributes
    stages: Sequence[Stage]
    failed: bool


class Spans:
    """Takes what is known of requests, and has a thread make spans of it and export them.

    Of what it doesn't get rid of the oldest is dropped: at most OTEL_BSP_MAX_QUEUE_SIZE requests (2048) wait.
    """

    def __init__(self, origin: Origin) -> None:
        """Read OpenTelemetry's variables. Raises what it does for one that can't be understood."""
        self._resource = _describe(origin)
        # For its sampler alone. Its tracers would make every span on the event loop, at ten times the cost.
        self._sampler = TracerProvider(resource=self._resource, shutdown_on_exit=False).sampler
        self._processor = BatchSpanProcessor(_Exporter())

    def begin(self, caller: SpanContext | None) -> "Begun":
        """Return the span of a request that begins now, in the trace that it brings or in one of its own."""
        trace_id = caller.trace_id if caller is not None else int.from_bytes(os.urandom(16), "big")
        parent = set_span_in_context(NonRecordingSpan(caller), Context()) if caller is not None else Context()
        decision = self._sampler.should_sample(parent, trace_id, "request", SpanKind.SERVER)
        own = make_context(trace_id, _new_span_id(), sampled=decision.decision is Decision.RECORD_AND_SAMPLE)
        return Begun(own, caller)

    def end(self, begun: "Begun", described: Described) -> None:
        """Have the span of a request exported that is sampled."""
        self._processor.on_end(_RequestSpan(begun, self._resource, described))

    def begin_closing(self) -> threading.Thread:
        """Export what waits; return the thread that does. Its end may be waited for, and need not be."""
        thread = threading.Thread(target=self._processor.shutdown, name="last spans", daemon=True)
        thread.start()
        return thread


class Begun:
    """A request's span before its end."""

    def __init__(self, own: SpanContext, caller: SpanContext | None) -> None:
        self.own = own
        """Where whatever the request leads to belongs in its trace."""
        self.caller = caller
        # Stages are told by the one clock, spans by the other.
        self._counted, self.began_ns = time.perf_counter(), time.time_ns()

    @property
    def is_sampled(self) -> bool:
        """Whether it is to be exported."""
        return self.own.trace_flags.sampled

    def to_ns(self, counted: float) -> int:
        """Return a time of time.perf_counter in nanoseconds since 1970."""
        return self.began_ns + round((counted - self._counted) * 1e9)


class _RequestSpan(ReadableSpan):
    """A request's span that knows of its stages what is needed to make their spans."""

    def __init__(self, begun: Begun, resource: Resource, described: Described) -> None:
        self._begun = begun
        self._stages = described.stages
        super().__init__(
            described.name,
            begun.own,
            begun.caller,
            resource,
            described.attributes,
            kind=SpanKind.SERVER,
            status=Status(StatusCode.ERROR if described.failed else StatusCode.UNSET),
            start_time=begun.began_ns,
            end_time=begun.to_ns(time.perf_counter()),
            instrumentation_scope=_SCOPE,
        )

    def make_stages(self) -> Iterator[ReadableSpan]:
        own = self._begun.own
        for stage in self._stages:
            yield ReadableSpan(
                stage.name,
                make_context(own.trace_id, _new_span_id(), sampled=True),
                own,
                self.resource,
                stage.attributes,
                start_time=self._begun.to_ns(stage.started),
                end_time=self._begun.to_ns(stage.started + stage.seconds),
                instrumentation_scope=_SCOPE,
            )


class _Exporter(OTLPSpanExporter):
    """Makes the stages' spans; says when spans stop being taken, and when they are again."""

    _works = True

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        stages = [stage for span in spans if isinstance(span, _RequestSpan) for stage in span.make_stages()]
        result = super().export([*spans, *stages])
        works = result is SpanExportResult.SUCCESS
        if works != self._works:
            self._works = works
            if works:
                _log.info("spans are exported again")
            else:
                _log.warning("spans can't be exported: those of this time are lost", endpoint=self._endpoint)
            # OpenTelemetry would tell of every attempt.
            logging.getLogger("opentelemetry").setLevel(logging.WARNING if works else logging.CRITICAL)
        return result


def _describe(origin: Origin) -> Resource:
    """Return who the spans are from: what OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES say, else what is known."""
    known = {
        service_attributes.SERVICE_NAME: origin.classifier,
        service_attributes.SERVICE_VERSION: classifier_inference.__version__,
        "service.instance.id": origin.pod,
    }
    if origin.namespace:
        known |= {"k8s.namespace.name": origin.namespace, "k8s.pod.name": origin.pod}
    return Resource.create({**known, **OTELResourceDetector().detect().attributes})


def _new_span_id() -> int:
    return int.from_bytes(os.urandom(8), "big")
