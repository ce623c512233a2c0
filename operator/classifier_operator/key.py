"""What the queue holds, and what is remembered by: an object, or a namespace."""

from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Key:
    """Which object, or, with no name, what the objects of a namespace share."""

    namespace: str
    name: str = ""
