"""What happened in a cluster, as its watches told it."""

from dataclasses import dataclass, field
from typing import Any

Object = dict[str, Any]


@dataclass(frozen=True)
class Event:
    """One event of a watch, and when it came."""

    kind: str
    type: str
    object: Object
    seen: float

    @property
    def version(self) -> int:
        """The resourceVersion: one counter for all kinds, since one etcd holds them all."""
        return int(self.object["metadata"]["resourceVersion"])

    @property
    def name(self) -> str:
        return str(self.object["metadata"]["name"])


@dataclass
class Recording:
    """Everything that happened to some kinds in a namespace, in the order in which it was written."""

    events: list[Event] = field(default_factory=list)

    def of(self, kind: str, name: str | None = None) -> list[Event]:
        chosen = (event for event in self.events if event.kind == kind and name in (None, event.name))
        return sorted(chosen, key=lambda event: event.version)

    def in_order(self) -> list[Event]:
        return sorted(self.events, key=lambda event: event.version)
