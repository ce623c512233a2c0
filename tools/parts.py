"""Runs commands beside each other in lanes, each lane's one after the other; shows the output of each when it ends."""

import os
import queue
import re
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from rich.table import Table

from tools.foreground import own_foreground
from tools.terminal import console

HEARTBEAT_SECONDS = 60.0
ENDS_WITHIN = 120.0
"""Seconds that what is interrupted has to put away what it made: a cluster, say."""


@dataclass(frozen=True)
class Part:
    """A command and what it is called."""

    title: str
    command: tuple[str, ...]


@dataclass(frozen=True)
class Outcome:
    """What came of a part: its exit status (None: it never began), and how long it took."""

    part: Part
    status: int | None
    seconds: float
    output: Path


class Lanes:
    """Parts as they run. Each is a process group of its own, and writes to a file."""

    def __init__(self, lanes: Sequence[Sequence[Part]], folder: Path, environment: Mapping[str, str]) -> None:
        self._folder = folder
        self._environment = environment
        self._running: dict[Part, tuple[subprocess.Popen[bytes], float]] = {}
        self._lock = threading.Lock()
        self._interrupted = False
        self._left = sum(len(lane) for lane in lanes)
        self._ended: queue.Queue[Outcome] = queue.Queue()
        self._threads = [threading.Thread(target=self._run_lane, args=(lane,)) for lane in lanes]

    def outcomes(self, heartbeat: float) -> Iterator[Outcome]:
        """Run all; yield what came of each as it ends. Says now and then what is running."""
        started = time.monotonic()
        for thread in self._threads:
            thread.start()
        while self._left:
            try:
                yield self._ended.get(timeout=heartbeat)
                self._left -= 1
            except queue.Empty:
                console.print(f"[dim]{_minutes(time.monotonic() - started)}: {self._describe()}[/dim]", soft_wrap=True)

    def interrupt(self) -> list[Outcome]:
        """End what runs, and begin no more; what doesn't end in time is killed. Return what came of what ran."""
        with self._lock:
            self._interrupted = True
            running = [process for process, _ in self._running.values()]
        for process in running:
            _signal(process.pid, signal.SIGINT)
        deadline = time.monotonic() + ENDS_WITHIN
        for process in running:
            _await_group(process.pid, deadline)
        for thread in self._threads:
            thread.join()
        ended = [self._ended.get() for _ in range(self._ended.qsize())]
        return [outcome for outcome in ended if outcome.status is not None]

    def _run_lane(self, lane: Sequence[Part]) -> None:
        for part in lane:
            self._ended.put(self._run(part))

    def _run(self, part: Part) -> Outcome:
        output = self._find_log(part)
        started = time.monotonic()
        with output.open("wb") as log:
            with self._lock:
                if self._interrupted:
                    return Outcome(part, None, 0, output)
                try:
                    process = subprocess.Popen(
                        part.command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                        env=self._environment, start_new_session=True,
                    )  # fmt: skip
                except OSError as error:
                    log.write(f"{error}\n".encode())
                    return Outcome(part, None, 0, output)
                self._running[part] = (process, started)
            status = process.wait()
        with self._lock:
            del self._running[part]
        return Outcome(part, status, time.monotonic() - started, output)

    def _find_log(self, part: Part) -> Path:
        return self._folder / f"{part.title.replace('/', ' ')}.log"

    def _describe(self) -> str:
        with self._lock:
            running = dict(self._running)
        now = time.monotonic()
        return ", ".join(
            f"{part.title} {_minutes(now - started)}{self._progress(part)}" for part, (_, started) in running.items()
        )

    def _progress(self, part: Part) -> str:
        # Of a part that runs pytest more than once, the run that goes on.
        _, _, said = self._find_log(part).read_text(errors="replace").rpartition("test session starts")
        shares = re.findall(r"\[ *(\d+)%\]", said)
        return f" {shares[-1]} %" if shares else ""


def run_lanes(
    lanes: Sequence[Sequence[Part]], environment: Mapping[str, str] | None = None, heartbeat: float = HEARTBEAT_SECONDS
) -> list[Outcome]:
    """Run the lanes beside each other and return what came of each part, in the order in which they ended.

    Raises KeyboardInterrupt when Ctrl-C or SIGTERM has ended them all.
    """
    outcomes = []
    with tempfile.TemporaryDirectory() as folder, own_foreground(), _sigterm_as_ctrl_c():
        running = Lanes(lanes, Path(folder), os.environ if environment is None else environment)
        try:
            for outcome in running.outcomes(heartbeat):
                _show(outcome)
                outcomes.append(outcome)
        except BaseException:
            console.print("Ending what runs.")
            for outcome in running.interrupt():
                _show(outcome)
            raise
    return outcomes


def _show(outcome: Outcome) -> None:
    """Print all that a part said, and how it ended."""
    console.rule(outcome.part.title, align="left")
    console.out(outcome.output.read_text(errors="replace"), highlight=False, end="")
    verdict = "[green]✓[/green]" if outcome.status == 0 else "[red]✗[/red]"
    console.print(f"{verdict} {outcome.part.title} ({_minutes(outcome.seconds)})")


def print_table(outcomes: Sequence[Outcome], seconds: float) -> None:
    """Print the minutes of each part, and of all together."""
    table = Table("part", "", "minutes", box=None)
    table.columns[2].justify = "right"
    for outcome in outcomes:
        table.add_row(outcome.part.title, "passed" if outcome.status == 0 else "FAILED", f"{outcome.seconds / 60:.1f}")
    table.add_row("all", "", f"{seconds / 60:.1f}")
    console.print(table)


@contextmanager
def _sigterm_as_ctrl_c() -> Iterator[None]:
    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    former = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, former)


def _await_group(group: int, deadline: float) -> None:
    """Return when no process of the group is left; kill those that are when the time is over."""
    while _signal(group, 0):
        if time.monotonic() > deadline:
            _signal(group, signal.SIGKILL)
            return
        # A group can't be waited for.
        time.sleep(0.1)


def _signal(group: int, number: int) -> bool:
    """Send a signal to a process group; return whether there was one."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    return True


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.1f} min"
