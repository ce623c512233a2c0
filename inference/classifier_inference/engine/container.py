"""What this process may use: processors and memory, as its cgroup limits them.

cgroup v2 has one folder for all controllers, v1 one folder each; both are read under /sys/fs/cgroup, where a container
sees its own.
"""

import math
import os
from pathlib import Path

import psutil

CGROUPS = Path("/sys/fs/cgroup")


def count_cpus(cgroups: Path = CGROUPS) -> int:
    """Return how many threads can run at once: the processors at hand, or the CPU limit rounded up if that is less."""
    at_hand = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    limit = _read_cpu_limit(cgroups)
    return at_hand if limit is None else max(1, min(at_hand, math.ceil(limit)))


def _read_cpu_limit(cgroups: Path) -> float | None:
    words = _read_words(cgroups / "cpu.max")
    if not words:
        words = _read_words(cgroups / "cpu/cpu.cfs_quota_us") + _read_words(cgroups / "cpu/cpu.cfs_period_us")
    if len(words) != 2 or words[0] in {"max", "-1"}:
        return None
    return int(words[0]) / int(words[1])


def read_memory(cgroups: Path = CGROUPS) -> tuple[int, int]:
    """Return (used, limit) in bytes: the container's where it is limited, else the machine's."""
    machine = psutil.virtual_memory()
    found = _read_container_memory(machine.total, cgroups)
    return found if found is not None else (machine.total - machine.available, machine.total)


def read_memory_limit(cgroups: Path = CGROUPS) -> int | None:
    """Return the container's limit in bytes, or None where it has none."""
    found = _read_container_memory(psutil.virtual_memory().total, cgroups)
    return found[1] if found is not None else None


def _read_container_memory(machine: int, cgroups: Path) -> tuple[int, int] | None:
    for used, limit in (
        ("memory.current", "memory.max"),
        ("memory/memory.usage_in_bytes", "memory/memory.limit_in_bytes"),
    ):
        bound = _read_words(cgroups / limit)
        taken = _read_words(cgroups / used)
        # v1 writes "no limit" as a number near 2^63.
        if taken and bound and bound[0] != "max" and int(bound[0]) < machine:
            return int(taken[0]), int(bound[0])
    return None


def _read_words(path: Path) -> list[str]:
    try:
        return path.read_text().split()
    except OSError:
        return []
