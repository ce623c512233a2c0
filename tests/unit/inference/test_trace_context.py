"""W3C Trace Context."""

import pytest

from classifier_inference.telemetry.trace_context import go_on, parse_traceparent, render_traceparent

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"


@pytest.mark.parametrize(
    ("value", "sampled"),
    [(f"00-{TRACE}-{SPAN}-01", True), (f"00-{TRACE}-{SPAN}-00", False), (f"cc-{TRACE}-{SPAN}-03-later", True)],
)
def test_a_trace_goes_on_with_a_span_of_ours(value: str, sampled: bool) -> None:
    given = parse_traceparent([(b"host", b"a"), (b"traceparent", value.encode())])
    assert given is not None
    assert (given.trace_id, given.span_id, given.trace_flags.sampled) == (int(TRACE, 16), int(SPAN, 16), sampled)
    assert render_traceparent(go_on(given, b"12345678")) == f"00-{TRACE}-3132333435363738-0{int(sampled)}"


@pytest.mark.parametrize(
    "values",
    [
        [],
        ["hello"],
        [f"00-{TRACE.upper()}-{SPAN}-01"],
        [f"ff-{TRACE}-{SPAN}-01"],
        [f"00-{TRACE}-{SPAN}-01-more"],
        [f"00-{'0' * 32}-{SPAN}-01"],
        [f"00-{TRACE}-{'0' * 16}-01"],
        [f"00-{TRACE}-{SPAN}-01", f"00-{TRACE}-{SPAN}-01"],
    ],
)
def test_what_is_not_valid_is_passed_over(values: list[str]) -> None:
    assert parse_traceparent((b"traceparent", value.encode()) for value in values) is None
