"""What a store's failure means for who ships to it. No I/O."""

from enum import StrEnum

from classifier_inference.report.sink_state import SinkReason


class Sink(StrEnum):
    """The two stores."""

    TRACKING = "tracking"
    STORAGE = "storage"


class SinkError(Exception):
    """A store failed, in its own words: it is away, or lets nobody in. The same again may work later."""

    def __init__(self, sink: Sink, reason: SinkReason, message: str) -> None:
        super().__init__(message)
        self.sink = sink
        self.reason = reason


class RefusedError(SinkError):
    """A store works and refuses this one request: another may pass."""
