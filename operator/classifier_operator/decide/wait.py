"""Decide: when an object is looked at again unasked. No I/O."""


def decide_wait(*asked: float | None) -> float | None:
    """Return the least of the seconds that somebody asks for, or None where nobody does."""
    return min((seconds for seconds in asked if seconds is not None), default=None)
