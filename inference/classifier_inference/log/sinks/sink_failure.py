"""What a store's failure means for who ships to it. No I/O."""

from dataclasses import dataclass
from enum import StrEnum

from classifier_inference.report.sink_state import SinkReason
from classifier_inference.stores.store_error import MlflowError, StoreError, Trouble


class Sink(StrEnum):
    """The two stores."""

    TRACKING = "tracking"
    STORAGE = "storage"


@dataclass(frozen=True)
class SinkFailure:
    """Which store failed, and the reason that conditions give."""

    sink: Sink
    reason: SinkReason


_REASONS = {
    Trouble.AWAY: SinkReason.UNREACHABLE,
    Trouble.NOT_TRUSTED: SinkReason.UNREACHABLE,
    Trouble.NO_CREDENTIALS: SinkReason.CREDENTIALS_MISSING,
    Trouble.LOCKED_OUT: SinkReason.REFUSED,
    Trouble.OUT_OF_REACH: SinkReason.REFUSED,
    Trouble.NO_OBJECT: SinkReason.REFUSED,
    Trouble.BAD_REQUEST: SinkReason.REFUSED,
    Trouble.NO_BUCKET: SinkReason.BUCKET_NOT_FOUND,
    Trouble.NOT_MLFLOW: SinkReason.NOT_MLFLOW,
    Trouble.FULL: SinkReason.NEARLY_FULL,
}


def judge_failure(error: StoreError) -> SinkFailure:
    """Return what a store's failure is to conditions."""
    sink = Sink.TRACKING if isinstance(error, MlflowError) else Sink.STORAGE
    return SinkFailure(sink, _REASONS.get(error.trouble, SinkReason.FAILED))
