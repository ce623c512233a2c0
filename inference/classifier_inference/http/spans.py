"""A span a request, and one for each of its stages, exported by OpenTelemetry.

Import this where spans are wanted and nowhere else: what it imports takes half a second. What the spans say follows the
semantic conventions for HTTP servers, https://opentelemetry.io/docs/specs/semconv/http/http-spans/.
"""

import logging
import os
import re
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import structlog
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.semconv.attributes import (
    error_attributes,
    http_attributes,
    network_attributes,
    server_attributes,
    service_attributes,
    url_attributes,
    user_agent_attributes,
)
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)
from starlette.datastructures import Headers
from starlette.types import Scope

import classifier_inference
from classifier_inference.http.problem import ProblemError
from classifier_inference.http.stages import Stages
from classifier_inference.images.preprocess import Source
from classifier_inference.log.logger import Origin
from classifier_inference.model.loaded_classifier import Answer
from classifier_inference.telemetry.trace_context import TraceContext

MOST_TEXT = 200
"""Characters of what a client may choose freely."""

Attributes = dict[str, str | int]

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"})
_OTHER = "_OTHER"
_HOST = re.compile(r"(?P<address>\[[^]]+\]|[^:]+)(:(?P<port>[0-9]{1,5}))?")
_SCOPE = InstrumentationScope("classifier_inference", classifier_inference.__version__)

_log = structlog.get_logger("spans")


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

    def begin(self, given: TraceContext | None) -> "Begun":
        """Return the span of a request that begins now, in the trace that it brings or in one of its own."""
        trace_id = int(given.trace_id, 16) if given is not None else int.from_bytes(os.urandom(16), "big")
        caller = _make_caller(given) if given is not None else None
        parent = set_span_in_context(NonRecordingSpan(caller), Context()) if caller is not None else Context()
        decision = self._sampler.should_sample(parent, trace_id, "request", SpanKind.SERVER)
        own = _make_context(trace_id, _new_span_id(), sampled=decision.decision is Decision.RECORD_AND_SAMPLE)
        return Begun(own, caller)

    def end(self, begun: "Begun", scope: Scope, status: int | None) -> None:
        """Have it exported, if it is sampled; `status` is what the request was answered with, None for no answer."""
        if begun.own.trace_flags.sampled:
            self._processor.on_end(_RequestSpan(begun, self._resource, scope, status))

    def begin_closing(self) -> threading.Thread:
        """Export what waits; return the thread that does. Its end may be waited for, and need not be."""
        thread = threading.Thread(target=self._processor.shutdown, name="last spans", daemon=True)
        thread.start()
        return thread


class Begun:
    """A request's span before its end."""

    def __init__(self, own: SpanContext, caller: SpanContext | None) -> None:
        self.own = own
        self.caller = caller
        # Stages are told by the one clock, spans by the other.
        self._counted, self.began_ns = time.perf_counter(), time.time_ns()

    @property
    def context(self) -> TraceContext:
        """Where whatever the request leads to belongs in its trace."""
        return TraceContext(f"{self.own.trace_id:032x}", f"{self.own.span_id:016x}", self.own.trace_flags.sampled)

    def to_ns(self, counted: float) -> int:
        """Return a time of time.perf_counter in nanoseconds since 1970."""
        return self.began_ns + round((counted - self._counted) * 1e9)


class _Image(NamedTuple):
    started: float
    decode_seconds: float
    infer_seconds: float
    source: Source

    @classmethod
    def of(cls, answer: Answer) -> "_Image":
        return cls(answer.started, answer.decode_seconds, answer.infer_seconds, answer.source)


class _RequestSpan(ReadableSpan):
    """A request's span that knows of its stages what is needed to make their spans."""

    def __init__(self, begun: Begun, resource: Resource, scope: Scope, status: int | None) -> None:
        state = scope["state"]
        self._begun = begun
        self._stages: Stages | None = state.get("stages")
        # Not the answers themselves: their scores would take a lot of memory while spans wait.
        self._images = [_Image.of(answer) for answer in state.get("answers", ())]
        failed = status is None or status >= 500
        super().__init__(
            _name(scope["method"], state.get("route")),
            begun.own,
            begun.caller,
            resource,
            {**_describe_request(scope), **_describe_answer(state, status)},
            kind=SpanKind.SERVER,
            status=Status(StatusCode.ERROR if failed else StatusCode.UNSET),
            start_time=begun.began_ns,
            end_time=begun.to_ns(time.perf_counter()),
            instrumentation_scope=_SCOPE,
        )

    def make_stages(self) -> Iterator[ReadableSpan]:
        stages = self._stages
        if stages is None:
            return
        yield self._make_stage("read", stages.started, stages.read_seconds)
        yield self._make_stage("queue", stages.started + stages.read_seconds, stages.queued_seconds)
        for index, image in enumerate(self._images):
            of_image: Attributes = {"classifier.image.index": index} if len(self._images) > 1 else {}
            if image.decode_seconds:  # what comes as the model's own input is not decoded
                attributes = of_image | _describe_source(image.source)
                yield self._make_stage("decode", image.started, image.decode_seconds, attributes)
            yield self._make_stage("infer", image.started + image.decode_seconds, image.infer_seconds, of_image)

    def _make_stage(
        self, name: str, began: float, seconds: float, attributes: Attributes | None = None
    ) -> ReadableSpan:
        own = self._begun.own
        return ReadableSpan(
            name,
            _make_context(own.trace_id, _new_span_id(), sampled=True),
            own,
            self.resource,
            attributes or {},
            start_time=self._begun.to_ns(began),
            end_time=self._begun.to_ns(began + seconds),
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


def _name(method: str, route: str | None) -> str:
    known = method if method in _METHODS else "HTTP"
    return f"{known} {route}" if route is not None else known


def _describe_request(scope: Scope) -> Attributes:
    method, headers = scope["method"], Headers(scope=scope)
    described: Attributes = {
        http_attributes.HTTP_REQUEST_METHOD: method if method in _METHODS else _OTHER,
        url_attributes.URL_SCHEME: scope["scheme"],
        url_attributes.URL_PATH: scope["path"][:MOST_TEXT],
        network_attributes.NETWORK_PROTOCOL_VERSION: scope["http_version"],
    }
    if method not in _METHODS:
        described[http_attributes.HTTP_REQUEST_METHOD_ORIGINAL] = method[:MOST_TEXT]
    if host := _HOST.fullmatch(headers.get("host", "")):
        described[server_attributes.SERVER_ADDRESS] = host["address"][:MOST_TEXT]
        if host["port"]:
            described[server_attributes.SERVER_PORT] = int(host["port"])
    if agent := headers.get("user-agent"):
        described[user_agent_attributes.USER_AGENT_ORIGINAL] = agent[:MOST_TEXT]
    return described


def _describe_answer(state: Mapping[str, Any], status: int | None) -> Attributes:
    route: str | None = state.get("route")
    problem: ProblemError | None = state.get("problem")
    described: Attributes = {"classifier.request_id": state["request_id"]}
    if route is not None:
        described[http_attributes.HTTP_ROUTE] = route
    if problem is not None:
        described["classifier.problem"] = problem.kind.slug
    if status is not None:
        described[http_attributes.HTTP_RESPONSE_STATUS_CODE] = status
    if status is None or status >= 500:
        described[error_attributes.ERROR_TYPE] = problem.kind.slug if problem is not None else str(status or _OTHER)
    return described


def _describe_source(source: Source) -> Attributes:
    width, height = source.size
    return {
        "classifier.image.format": source.format,
        "classifier.image.width": width,
        "classifier.image.height": height,
    }


def _make_caller(given: TraceContext) -> SpanContext:
    return _make_context(int(given.trace_id, 16), int(given.span_id, 16), sampled=given.sampled, is_remote=True)


def _make_context(trace_id: int, span_id: int, *, sampled: bool, is_remote: bool = False) -> SpanContext:
    flags = TraceFlags(TraceFlags.SAMPLED if sampled else TraceFlags.DEFAULT)
    return SpanContext(trace_id, span_id, is_remote, flags)


def _new_span_id() -> int:
    return int.from_bytes(os.urandom(8), "big")
