"""Whose predictions they are: in the log, and in spans."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Origin:
    """One server of one classifier."""

    classifier: str
    namespace: str
    pod: str
