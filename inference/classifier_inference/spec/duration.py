"""Lengths of time as people write them: `60s`, `500ms`, `1h30m`, `30d`. No I/O."""

import re
from decimal import Decimal

DURATION_PATTERN = r"^([0-9]+(\.[0-9]{1,6})?(ms|s|m|h|d))+$"

_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)")
_SECONDS = {"ms": Decimal("0.001"), "s": Decimal(1), "m": Decimal(60), "h": Decimal(3600), "d": Decimal(86400)}


def parse_duration(text: str) -> float:
    """Return a duration in seconds. Raises ValueError, with an example, for anything else."""
    if not isinstance(text, str) or not re.fullmatch(DURATION_PATTERN, text):
        raise ValueError(f"{text!r} is not a duration: write it as 60s, 500ms, 1h30m or 30d")
    return float(sum(Decimal(number) * _SECONDS[unit] for number, unit in _PART.findall(text)))


def render_duration(seconds: float) -> str:
    """Return a duration in one way of the many it can be written, to a microsecond."""
    return f"{seconds:.6f}".rstrip("0").rstrip(".") + "s"
