"""What is said of the prediction log: by the recorder to its server, by the server in `/api/v1/health`. No I/O.

The operator asks one pod of an object for it, and makes the conditions TrackingReady and StorageReady of it.
"""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict


class SinkReason(StrEnum):
    """Why a store takes what is logged, or doesn't: in CamelCase as a condition's reason."""

    LOGGING = "Logging"
    NOTHING_SHIPPED = "NothingShipped"
    UNREACHABLE = "Unreachable"
    CREDENTIALS_MISSING = "CredentialsMissing"
    REFUSED = "Refused"
    BUCKET_NOT_FOUND = "BucketNotFound"
    NOT_MLFLOW = "NotMLflow"
    NEARLY_FULL = "NearlyFull"
    FAILED = "Failed"


class SinkState(BaseModel):
    """How one store is doing, as a pod sees it."""

    model_config = ConfigDict(frozen=True)

    ready: bool | None = None
    """None: it has not been asked yet."""
    reason: SinkReason = SinkReason.NOTHING_SHIPPED
    message: str = ""
    """A sentence for people, with the store's own words in it."""


class SinkStates(BaseModel):
    """The part of `log` in `/api/v1/health` that conditions are made of; what else is in it is not looked at."""

    model_config = ConfigDict(frozen=True)

    tracking: SinkState = SinkState()
    storage: SinkState | None = None
    """None where no store of its own is set."""
