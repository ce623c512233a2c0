"""The recorder: a process beside a server that ships what its spool holds.

It is never waited for. While a store is away it tries again, for ever, with growing delay; what it is killed over is
begun again by the next one. At its end it ships what is there for `shipTime`, and says what it had to leave.
"""

import contextlib
import os
import random
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

import structlog

from classifier_inference.log.recorder.owners import Owner, adopt_others, read_owner, remove_folder, write_owner
from classifier_inference.log.recorder.recorder_state import (
    Backlog,
    RecorderState,
    Shipped,
    read_state,
    write_state,
)
from classifier_inference.log.recorder.shipper import Shipper
from classifier_inference.log.recorder.unsure import Unsure
from classifier_inference.log.runs.retention import pause_seconds
from classifier_inference.log.runs.summary import render_preprocess
from classifier_inference.log.spool.counters import read_counts
from classifier_inference.log.spool.windows import (
    COUNTERS,
    hold,
    list_sealed,
    read_images,
    read_records,
    recover,
)
from classifier_inference.report.termination import Lost
from classifier_inference.report.termination_log import write_termination
from classifier_inference.spec.classifier import Classifier
from classifier_inference.stores.mlflow_api.run_client import MlflowClient
from classifier_inference.stores.s3.objects import S3Store

POLL_SECONDS = 1.0
STATE_SECONDS = 2.0
ADOPT_SECONDS = 10.0
CLEAR_SECONDS = 60.0
BEGIN_SECONDS = 60.0
LONGEST_DELAY_SECONDS = 30.0
END_POLL_SECONDS = 0.2

_log = structlog.get_logger("recorder")


@dataclass(frozen=True)
class Place:
    """Which recorder this is."""

    spool: Path
    pod: str
    namespace: str
    termination_log: Path

    @property
    def folder(self) -> Path:
        """The folder that it shares with its server."""
        return self.spool / self.pod


class Recorder:
    """Ships one server's spool, and what ended servers left beside it."""

    def __init__(self, classifier: Classifier, mlflow: MlflowClient, s3: S3Store, place: Place) -> None:
        self._log_spec = classifier.spec.prediction_log
        self._place = place
        self._owner = Owner(classifier.name, place.namespace, render_preprocess(classifier.spec.preprocess))
        self._stop = threading.Event()
        self._stop_at = float("inf")
        self._ended = threading.Lock()
        self._told = threading.Lock()
        self._failures = 0
        self._next_adoption = 0.0
        self._next_retention = 0.0
        self._next_clearing = 0.0
        place.folder.mkdir(parents=True, exist_ok=True)
        self._wait_for(lambda: hold(place.folder) is not None)
        write_owner(place.folder, self._owner)
        last = read_state(place.folder)
        shipped = last.shipped if last else Shipped()
        self._shipper = Shipper(classifier, mlflow, s3, Unsure(place.folder, time.time), shipped)

    def run(self, is_begun: Callable[[], bool]) -> None:
        """Ship until a signal comes, then what is left, for as long as `shipTime` says.

        What is wrong with a store is said once it has begun, or had a minute for that.
        """
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._handle)
        threading.Thread(target=self._tell, name="state", daemon=True).start()
        _log.info("recording", spool=str(self._place.folder))
        begun_by = time.monotonic() + BEGIN_SECONDS
        while not self._stop.is_set() and time.monotonic() < begun_by and not is_begun():
            self._stop.wait(END_POLL_SECONDS)
        while not self._stop.is_set():
            before = self._shipper.shipped
            if self._try_to_work():
                self._failures = 0
            else:
                self._failures = 1 if self._shipper.shipped != before else self._failures + 1
            self._stop.wait(self._delay())
        self._finish()
        self._end()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._stop.is_set():
            return
        self._stop_at = time.monotonic() + self._log_spec.ship_time
        self._stop.set()
        # Whatever the work at hand waits for, and however long that may take.
        timer = threading.Timer(self._log_spec.ship_time, self._end)
        timer.daemon = True
        timer.start()

    def _try_to_work(self) -> bool:
        try:
            return self._work()
        except OSError as error:
            _log.warning("the spool can't be used", why=str(error))
            return False

    def _work(self) -> bool:
        """Do all that is to do; return whether the stores took it."""
        taken = self._shipper.ship_folder(self._place.folder, self._owner, lambda: not self._stop.is_set())
        if self._stop.is_set():
            return True
        if not self._shipper.away:
            self._adopt()
            self._shipper.settle_unsure()
            self._clear_half_made()
            self._keep_retention()
        self._shipper.probe()
        return taken

    def _delay(self) -> float:
        if not self._failures:
            return POLL_SECONDS
        longest = min(POLL_SECONDS * 2.0 ** min(self._failures, 10), LONGEST_DELAY_SECONDS)
        # Not together with all the other pods, when the store comes back.
        return longest * random.uniform(0.7, 1)  # noqa: S311 - no secret hangs on it

    def _adopt(self) -> None:
        """Ship what ended servers of this classifier left in the spool."""
        if time.monotonic() < self._next_adoption:
            return
        self._next_adoption = time.monotonic() + ADOPT_SECONDS
        for folder, lock in adopt_others(self._place.spool, self._place.folder):
            try:
                if recover(folder):
                    self._ship_adopted(folder)
            finally:
                lock.release()

    def _ship_adopted(self, folder: Path) -> None:
        owner = read_owner(folder)
        if owner is not None and (owner.classifier, owner.namespace) != (self._owner.classifier, self._owner.namespace):
            return
        if owner is None or self._shipper.ship_folder(folder, owner, lambda: not self._stop.is_set()):
            counts = read_counts(folder / COUNTERS)
            _log.info("adopted", writer=folder.name, dropped_records=counts.records, dropped_images=counts.images)
            remove_folder(folder)

    def _clear_half_made(self) -> None:
        if time.monotonic() >= self._next_clearing and self._shipper.delete_half_made(self._owner):
            self._next_clearing = time.monotonic() + CLEAR_SECONDS

    def _keep_retention(self) -> None:
        kept = self._log_spec.retention
        if kept is None or time.monotonic() < self._next_retention:
            return
        if self._shipper.delete_old_runs(self._owner, time.time() - kept):
            self._next_retention = time.monotonic() + pause_seconds(kept)

    def _finish(self) -> None:
        """Ship what is left once the server has ended, until there is nothing or the time is up."""
        folder, closed = self._place.folder, False
        while time.monotonic() < self._stop_at:
            with contextlib.suppress(OSError):
                closed = closed or recover(folder)
                if self._shipper.ship_folder(folder, self._owner, lambda: time.monotonic() < self._stop_at) and closed:
                    self._shipper.settle_unsure(0)
                    return
            time.sleep(END_POLL_SECONDS)

    def _end(self) -> None:
        """Say what is left, and end the process: whatever it is doing can be begun again."""
        self._ended.acquire()  # for good: only one may end it
        self._told.acquire()
        lost = _count_left(self._place.folder)
        if self._log_spec.volume is None:
            write_termination(lost, self._place.termination_log)
        _log.info("ended", left_predictions=lost.lost_predictions, left_images=lost.lost_images)
        with contextlib.suppress(OSError):
            write_state(self._place.folder, self._describe())
        os._exit(0)

    def _tell(self) -> None:
        while True:
            with self._told, contextlib.suppress(OSError):
                write_state(self._place.folder, self._describe())
            time.sleep(STATE_SECONDS)

    def _describe(self) -> RecorderState:
        sealed = list_sealed(self._place.folder)
        oldest = datetime.fromtimestamp(sealed[0].start_milliseconds / 1000, UTC) if sealed else None
        size = sum(_size(path) for window in sealed for path in (window.records, window.images))
        return RecorderState(
            time=datetime.now(UTC),
            tracking=self._shipper.tracking,
            storage=self._shipper.storage,
            backlog=Backlog(windows=len(sealed), bytes=size, oldest=oldest),
            shipped=self._shipper.shipped,
        )

    def _wait_for(self, done: Callable[[], bool]) -> None:
        while not done():
            time.sleep(END_POLL_SECONDS)


def _count_left(folder: Path) -> Lost:
    """Return what windows hold that were not shipped."""
    sealed = list_sealed(folder)
    return Lost(
        lost_predictions=sum(1 for window in sealed for _ in read_records(window.records)),
        lost_images=sum(len(read_images(window.images)) for window in sealed),
    )


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
