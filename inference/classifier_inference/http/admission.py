"""Whether a request is let in: there must be a place in the queue and memory for it, before its body is read."""

from collections.abc import Iterator
from contextlib import contextmanager

from classifier_inference.engine.memory import HeldBody, Memory, MemoryFullError, NeverFitsError
from classifier_inference.engine.pool import Place, Pool, QueueFullError
from classifier_inference.http.problem import Kind, ProblemError

PLACE_SECONDS = 1.0
"""How long a request keeps its place in the queue while its body comes: on a fast line it is all there by then."""


class Admission:
    """The worker threads, and the memory that requests share."""

    def __init__(self, pool: Pool, memory: Memory) -> None:
        self.pool = pool
        self.memory = memory

    @contextmanager
    def admit(self) -> Iterator[tuple[Place, HeldBody]]:
        """Take a place in the queue and count the body's memory, both before any of it is read. Raises ProblemError."""
        try:
            with self.pool.keep_place(PLACE_SECONDS) as place, self.memory.hold_body() as held:
                yield place, held
        except QueueFullError:
            raise ProblemError(Kind.QUEUE_FULL, "too many requests wait already", {"Retry-After": "1"}) from None
        except MemoryFullError:
            detail = "other requests hold the memory that this one needs"
            raise ProblemError(Kind.MEMORY_FULL, detail, {"Retry-After": "1"}) from None
        except NeverFitsError as error:
            raise never_fits(error) from None


def never_fits(error: NeverFitsError) -> ProblemError:
    """Return the problem of what takes more memory than there is."""
    return ProblemError(Kind.TOO_MUCH_MEMORY, str(error))
