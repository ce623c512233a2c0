"""Remember what was last sent for each child: the same thing again has to wait, each time for longer. No I/O.

A webhook or a controller that undoes each mend would otherwise be fought as fast as the watch tells of it, and a child
that the API server refuses be sent again and again. What is wanted otherwise, or edited otherwise, waits for nothing.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from classifier_operator.decide.drift import Drift, Path
from classifier_operator.key import Key
from classifier_operator.reasons import Problem

FIRST_SECONDS = 0.5
LONGEST_SECONDS = 600.0
LONGEST_REFUSED_SECONDS = 30.0
CONTESTED_AFTER = 3
"""As many mends of one kind in a row are no slip of a hand; fewer wait for nothing."""
_FORGOTTEN_AFTER = 60.0
_NAMED_PATHS = 3


@dataclass(frozen=True)
class Child:
    """Which child of which owner: an object, or what a namespace shares."""

    owner: Key
    kind: str
    name: str


@dataclass(frozen=True)
class Attempt:
    """What is sent: the digest of what is wanted, and the fields of the live object that this changes."""

    wanted: str
    paths: tuple[Path, ...] | None
    """None where there is no live object."""


@dataclass(frozen=True)
class _Streak:
    attempt: Attempt
    count: int
    last: float
    refusal: Problem | None

    @property
    def contested(self) -> bool:
        return self.refusal is None and self.count >= CONTESTED_AFTER

    @property
    def pause(self) -> float:
        if self.refusal is not None:
            return min(FIRST_SECONDS * 2.0 ** (self.count - 1), LONGEST_REFUSED_SECONDS)
        return min(FIRST_SECONDS * 2.0 ** (self.count - CONTESTED_AFTER), LONGEST_SECONDS) if self.contested else 0.0

    @property
    def due(self) -> float:
        return self.last + self.pause

    @property
    def end(self) -> float:
        """When it is forgotten."""
        return self.last + max(2 * self.pause, _FORGOTTEN_AFTER)


class Attempts:
    """Knows of each child the last thing that was sent, and how often in a row."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._streaks: dict[Child, _Streak] = {}
        self._waiting: set[Child] = set()

    def may(self, child: Child, attempt: Attempt) -> bool:
        """Return whether this may be sent now; take note that it waits where not."""
        streak = self._streaks.get(child)
        if streak is None or streak.attempt != attempt or self._clock() >= streak.due:
            return True
        self._waiting.add(child)
        return False

    def find_refusal(self, child: Child) -> Problem | None:
        """Return what the API server said the last time, where it refused."""
        streak = self._streaks.get(child)
        return streak.refusal if streak else None

    def note(self, child: Child, attempt: Attempt, refusal: Problem | None = None) -> None:
        """Take note of what was sent, and of what the API server had against it."""
        now, before = self._clock(), self._streaks.get(child)
        again = before is not None and before.attempt == attempt and now < before.end
        self._streaks[child] = _Streak(attempt, before.count + 1 if before and again else 1, now, refusal)
        if refusal is not None:
            self._waiting.add(child)

    def take_wait(self, owner: Key) -> float | None:
        """Return the seconds until the first of an owner's children that wait is due, once; None where none waits."""
        waiting = {child for child in self._waiting if child.owner == owner}
        self._waiting -= waiting
        return min((max(self._streaks[child].due - self._clock(), 0) for child in waiting), default=None)

    def list_contested(self, owner: Key, name: str | None = None) -> list[str]:
        """Return, a sentence each, which mends of an owner's children (all, or those of a name) others undo."""
        now = self._clock()
        return [
            describe_contest(child, streak.attempt)
            for child, streak in sorted(self._streaks.items(), key=lambda item: (item[0].kind, item[0].name))
            if child.owner == owner and name in (None, child.name) and streak.contested and now < streak.end
        ]

    def forget(self, owner: Key) -> None:
        """Forget the children of an owner that is gone."""
        self._waiting = {child for child in self._waiting if child.owner != owner}
        self._streaks = {child: streak for child, streak in self._streaks.items() if child.owner != owner}


def describe_attempt(wanted: dict[str, Any], drift: Drift | None) -> Attempt:
    """Return what is sent to make a live object the wanted one, or to create it."""
    digest = hashlib.sha256(json.dumps(wanted, sort_keys=True).encode()).hexdigest()
    return Attempt(digest, (*drift.differences, *drift.additions) if drift else None)


def describe_contest(child: Child, attempt: Attempt) -> str:
    """Return a sentence that says what somebody else goes on doing."""
    if attempt.paths is None:
        return f"something else goes on deleting the {child.kind} {child.name}, which is made again ever more rarely"
    paths = [".".join(map(str, path)) for path in attempt.paths]
    named = ", ".join(paths[:_NAMED_PATHS]) + (", …" if len(paths) > _NAMED_PATHS else "")
    return (
        f"something else goes on changing {named} of the {child.kind} {child.name}, which is set back ever more "
        "rarely: look in its managedFields, and for webhooks"
    )
