"""What may go wrong with a store, whatever it speaks."""

from enum import Enum, auto


class Trouble(Enum):
    """What is wrong with a request to a store."""

    AWAY = auto()
    """Nobody answered."""
    LATE = auto()
    """What was asked for didn't come in time."""
    FAILING = auto()
    """The store can't now, and may later."""
    FULL = auto()
    NO_CREDENTIALS = auto()
    LOCKED_OUT = auto()
    """Its credentials open nothing, or not this."""
    NOT_TRUSTED = auto()
    """The store's certificate."""
    NOT_ALLOWED = auto()
    """The address is not one that may be gone to."""
    OUT_OF_REACH = auto()
    """What is set up there can't be used from here."""
    NOT_MLFLOW = auto()
    """What answers is something else."""
    NO_BUCKET = auto()
    NO_OBJECT = auto()
    """The store has nothing of that name or id."""
    NOTHING_THERE = auto()
    """A 404 that names neither: what answers may be no such store."""
    BAD_REQUEST = auto()
    """The store works and doesn't take this one, for what is in it: another may pass."""
    REFUSED = auto()


_PASSING = {Trouble.AWAY, Trouble.LATE, Trouble.FAILING, Trouble.FULL}
_MISSING = {Trouble.NO_BUCKET, Trouble.NO_OBJECT, Trouble.NOTHING_THERE}


class StoreError(Exception):
    """A request to a store failed; the message says why, in the store's own words where it has any."""

    def __init__(self, trouble: Trouble, message: str) -> None:
        super().__init__(message)
        self.trouble = trouble

    @property
    def passing(self) -> bool:
        """Whether the same request may work the next time."""
        return self.trouble in _PASSING

    @property
    def missing(self) -> bool:
        """Whether there is nothing at the address, rather than no way to it."""
        return self.trouble in _MISSING

    @property
    def about_one(self) -> bool:
        """Whether the store works and refuses this one request: another may pass."""
        return self.trouble in {Trouble.NO_OBJECT, Trouble.BAD_REQUEST}


class NotAllowedError(StoreError):
    """The address is not one that may be gone to; the message says why."""

    def __init__(self, message: str) -> None:
        super().__init__(Trouble.NOT_ALLOWED, message)


class MlflowError(StoreError):
    """MLflow is away, lets nobody in, isn't MLflow or refuses the request."""


class UncertainError(MlflowError):
    """A request may have been taken or not: the connection broke after it was sent."""
