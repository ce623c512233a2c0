"""How much of its disk a spool may take. No I/O but to look at the disk."""

import os
from dataclasses import dataclass
from pathlib import Path

BUDGET_SHARE = 0.8
"""How much of the spool is used: an emptyDir that grows over its size has its pod evicted."""


@dataclass(frozen=True)
class Disk:
    """A disk, in bytes."""

    size: int
    free: int


def measure_disk(folder: Path) -> Disk:
    """Return the disk that a folder is on."""
    found = os.statvfs(folder)
    return Disk(found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize)


def decide_budget(asked: int, disk: Disk) -> int:
    """Return how many bytes a folder may take at most: a share of what was asked for, or of a smaller disk."""
    return int(min(asked, disk.size) * BUDGET_SHARE)


def decide_limit(asked: int, disk: Disk, used: int) -> int:
    """Return how many bytes a folder may take now: its budget, or less where others fill the disk.

    What the budget leaves of the spool is left free on the disk too: shipping a window takes some room.
    """
    kept_free = min(asked, disk.size) - decide_budget(asked, disk)
    return min(decide_budget(asked, disk), used + max(0, disk.free - kept_free))
