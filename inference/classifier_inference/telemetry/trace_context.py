"""W3C Trace Context: the `traceparent` that a request brings, and the one that goes on from here. No I/O."""

from collections.abc import Iterable

from opentelemetry.trace import INVALID_SPAN_CONTEXT, SpanContext, TraceFlags, get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

HEADER = b"traceparent"

_propagator = TraceContextTextMapPropagator()


def parse_traceparent(headers: Iterable[tuple[bytes, bytes]]) -> SpanContext | None:
    """Return the span that a request comes from, or None: no header says so, or several, or it isn't valid."""
    found = [value for name, value in headers if name == HEADER]
    if len(found) != 1:
        return None
    extracted = _propagator.extract({"traceparent": found[0].decode("latin-1")})
    context = get_current_span(extracted).get_span_context()
    return context if context != INVALID_SPAN_CONTEXT else None


def go_on(given: SpanContext, random: bytes) -> SpanContext:
    """Return the context of a span of ours in a trace, from 8 random bytes."""
    return make_context(given.trace_id, int.from_bytes(random, "big"), sampled=given.trace_flags.sampled)


def make_context(trace_id: int, span_id: int, *, sampled: bool) -> SpanContext:
    """Return the context of a span of ours."""
    flags = TraceFlags(TraceFlags.SAMPLED if sampled else TraceFlags.DEFAULT)
    return SpanContext(trace_id, span_id, is_remote=False, trace_flags=flags)


def render_traceparent(context: SpanContext) -> str:
    """Return the header that says which span something comes from."""
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags.sampled):02x}"
