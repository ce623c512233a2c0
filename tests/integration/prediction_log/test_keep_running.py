"""The process that a recorder's container is: it never ends by itself."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest

from tests.integration.server.process import WAIT_SECONDS

SCRIPT = """
import os, signal, sys
from classifier_inference.cli.keep_running import keep_running

def work():
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    print(os.getpid(), flush=True)
    {}
    return 3

sys.exit(keep_running(work))
"""
WAITS = "signal.sigwait([signal.SIGTERM]); return 7"


@contextmanager
def kept(what: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", SCRIPT.format(what)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def next_worker(process: subprocess.Popen[str]) -> int:
    assert process.stdout is not None
    return int(process.stdout.readline())


def test_work_that_is_killed_is_begun_again() -> None:
    with kept(WAITS) as process:
        first = next_worker(process)
        os.kill(first, signal.SIGKILL)
        assert next_worker(process) != first
        assert process.poll() is None


@pytest.mark.parametrize("what", ["pass", "raise ValueError('broken')"])
def test_work_that_ends_or_fails_is_begun_again(what: str) -> None:
    with kept(what) as process:
        assert next_worker(process) != next_worker(process)


def test_a_signal_is_passed_on_and_the_work_s_status_returned() -> None:
    with kept(WAITS) as process:
        next_worker(process)
        process.terminate()
        assert process.wait(WAIT_SECONDS) == 7


def test_a_signal_between_two_times_ends_it() -> None:
    with kept("pass") as process:
        assert process.stderr is not None
        next_worker(process)
        assert process.stderr.readline() == "ended with status 3; again in 0.5 s\n"
        process.terminate()
        assert process.wait(WAIT_SECONDS) == 0


def test_the_work_ends_with_its_keeper() -> None:
    with kept(WAITS) as process:
        worker = psutil.Process(next_worker(process))
        process.kill()
        assert psutil.wait_procs([worker], timeout=WAIT_SECONDS)[1] == []
