"""Runs some work in a process of its own, and begins it again where it dies.

A pod whose sidecar is down is not ready, and out of its Service. So the sidecar's first process does nothing that could
fail: it waits for the one that works.
"""

import ctypes
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from types import FrameType

FIRST_DELAY_SECONDS = 0.5
LONGEST_DELAY_SECONDS = 30.0
HEALTHY_SECONDS = 60.0
"""Work that ran for this long has not failed at once: the delay begins anew."""
_PR_SET_PDEATHSIG = 1
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def keep_running(work: Callable[[], int]) -> int:
    """Do the work until a SIGTERM or SIGINT comes, which is passed on; return its exit status of that time."""
    child = 0
    told = False

    def pass_on(number: int, frame: FrameType | None) -> None:
        nonlocal told
        told = True
        if child:
            os.kill(child, number)

    for number in _SIGNALS:
        signal.signal(number, pass_on)
    delay = FIRST_DELAY_SECONDS
    while True:
        started = time.monotonic()
        child = _start(work)
        if told:
            os.kill(child, signal.SIGTERM)
        _, ended = os.waitpid(child, 0)
        child = 0
        if told:
            return os.waitstatus_to_exitcode(ended)
        if time.monotonic() - started > HEALTHY_SECONDS:
            delay = FIRST_DELAY_SECONDS
        sys.stderr.write(f"ended with status {os.waitstatus_to_exitcode(ended)}; again in {delay:g} s\n")
        # A signal ends no sleep (PEP 475), so it is cut into short ones.
        until = time.monotonic() + delay
        while time.monotonic() < until and not told:
            time.sleep(0.1)
        if told:
            return 0
        delay = min(delay * 2, LONGEST_DELAY_SECONDS)


def _start(work: Callable[[], int]) -> int:
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
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
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    return child


def _die_with(parent: int) -> None:
    """Have the kernel end this process when its parent ends, however that comes about (Linux alone)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
