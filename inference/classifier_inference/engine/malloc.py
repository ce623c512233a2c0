"""Has glibc's malloc give back what an image took.

By default every thread may get an arena of its own, and what is freed stays with the process once blocks of that size
have come and gone: a server that has decoded one large photo a thread would be that large for good.
"""

import ctypes

ARENAS = 2
MAPPED_BYTES = 8 * 2**20
"""Blocks from this size on are the system's again as soon as they are freed. An ordinary photo's are smaller."""
TRIMMED_BYTES = 32 * 2**20
"""What stays at the end of the heap, so that photo after photo needs no new pages."""

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
"""glibc's numbers for mallopt(3)."""


def tame_malloc() -> None:
    """Set the allocator up, where it is one that can be; before any thread is started."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for option, value in ((_ARENA_MAX, ARENAS), (_MMAP_THRESHOLD, MAPPED_BYTES), (_TRIM_THRESHOLD, TRIMMED_BYTES)):
            mallopt(option, value)


def release_free_memory() -> None:
    """Give the system back what is free now: loading a model takes two copies of it in passing."""
    malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if malloc_trim is not None:
        malloc_trim(0)
