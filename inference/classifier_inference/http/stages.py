"""When the stages of a prediction were: what metrics, the log and spans tell of it."""

from dataclasses import dataclass


@dataclass
class Stages:
    """What comes before an image's turn, in seconds; each Answer tells of its own decoding and inference."""

    started: float
    """When reading began, by time.perf_counter."""
    read_seconds: float
    queued_seconds: float = 0
    """0 until a worker thread has taken the request."""
