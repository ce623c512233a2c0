"""Runs some work in a process of its own, and begins it again where it dies.

A pod whose sidecar is down is not ready, and out of its Service. So the sidecar's first process does nothing that could
fail: it waits for the one that works.
"""

import ctypes
import os
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable

FIRST_DELAY_SECONDS = 0.5
LONGEST_DELAY_SECONDS = 30.0
HEALTHY_SECONDS = 60.0
"""Work that ran for this long has not failed at once: the delay begins anew."""
_PR_SET_PDEATHSIG = 1
_ENDING = (signal.SIGTERM, signal.SIGINT)
_CAUGHT = (*_ENDING, signal.SIGCHLD)


def keep_running(work: Callable[[], int]) -> int:
    """Do the work until a SIGTERM or SIGINT comes, which is passed on; return its exit status of that time."""
    signals = _Signals()
    delay = FIRST_DELAY_SECONDS
    while True:
        started = time.monotonic()
        status, told = _wait_for_end(_start(work), signals)
        if told:
            return status
        if time.monotonic() - started > HEALTHY_SECONDS:
            delay = FIRST_DELAY_SECONDS
        sys.stderr.write(f"ended with status {status}; again in {delay:g} s\n")
        if _is_told_to_end(signals, within=delay):
            return 0
        delay = min(delay * 2, LONGEST_DELAY_SECONDS)


class _Signals:
    """The signals that came, as bytes in a pipe: one that comes between a look and a wait ends the wait."""

    def __init__(self) -> None:
        self._pipe, write_end = os.pipe()
        os.set_blocking(write_end, False)
        signal.set_wakeup_fd(write_end)
        for number in _CAUGHT:
            signal.signal(number, lambda *_: None)

    def wait(self, seconds: float | None = None) -> list[int]:
        """Return the numbers of those that came, once one has; none after this many seconds."""
        ready, _, _ = select.select([self._pipe], [], [], seconds)
        return list(os.read(self._pipe, 1024)) if ready else []


def _wait_for_end(child: int, signals: _Signals) -> tuple[int, bool]:
    """Return the child's exit status, and whether it was told to end."""
    told = False
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status), told
        for number in signals.wait():
            if number in _ENDING:
                told = True
                os.kill(child, number)


def _is_told_to_end(signals: _Signals, *, within: float) -> bool:
    until = time.monotonic() + within
    while (left := until - time.monotonic()) > 0:
        if any(number in _ENDING for number in signals.wait(left)):
            return True
    return False


def _start(work: Callable[[], int]) -> int:
    signal.pthread_sigmask(signal.SIG_BLOCK, _CAUGHT)
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        signal.set_wakeup_fd(-1)
        for number in _CAUGHT:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _CAUGHT)
        _die_with(parent)
        status = 1
        try:
            status = work()
        except BaseException:  # noqa: BLE001 - whatever it is, this process goes no further
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _CAUGHT)
    return child


def _die_with(parent: int) -> None:
    """Have the kernel end this process when its parent ends, however that comes about (Linux alone)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
