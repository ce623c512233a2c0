"""W3C Trace Context: the `traceparent` that a request brings, and the one that goes on from here. No I/O."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

HEADER = b"traceparent"

_TRACEPARENT = re.compile(
    rb"(?P<version>[0-9a-f]{2})-(?P<trace_id>[0-9a-f]{32})-(?P<span_id>[0-9a-f]{16})-(?P<flags>[0-9a-f]{2})(?P<more>-.*)?"
)
_INVALID_VERSION = b"ff"


@dataclass(frozen=True)
class TraceContext:
    """Which trace something belongs to, and which span of it."""

    trace_id: str
    """32 hexadecimal digits."""
    span_id: str
    """16 hexadecimal digits."""
    sampled: bool

    def __str__(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-{int(self.sampled):02x}"

    def go_on(self, random: bytes) -> "TraceContext":
        """Return the context of a span of ours in the trace, from 8 random bytes."""
        return replace(self, span_id=random.hex())


def parse_traceparent(headers: Iterable[tuple[bytes, bytes]]) -> TraceContext | None:
    """Return what the header says, or None: there is none, or several, or it isn't valid (W3C Trace Context, 3.2)."""
    found = [value for name, value in headers if name == HEADER]
    match = _TRACEPARENT.fullmatch(found[0]) if len(found) == 1 else None
    if match is None or match["version"] == _INVALID_VERSION or (match["version"] == b"00" and match["more"]):
        return None
    if not int(match["trace_id"], 16) or not int(match["span_id"], 16):
        return None
    return TraceContext(match["trace_id"].decode(), match["span_id"].decode(), bool(int(match["flags"], 16) & 1))
