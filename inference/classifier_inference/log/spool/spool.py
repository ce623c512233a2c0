"""The server's side of the spool: takes records and images, and never holds an answer up.

A record goes through a queue to one thread, which writes what has gathered in one plain write, without fsync: what the
kernel has taken is there after SIGKILL. An answer waits for that, for WAIT_SECONDS at most. Where the disk is slower
than that, the answer leaves and its record is in doubt: counted as dropped if the process ends before the write does.
Images follow from a second thread, which also seals windows, so that a sealed window has all its images.
"""

import os
import queue
import threading
import time
from pathlib import Path
from uuid import UUID

import structlog
from uuid_utils.compat import uuid7

from classifier_inference.log.spool.counters import Counts
from classifier_inference.log.spool.ledger import Ledger
from classifier_inference.log.spool.segment import Segment, Write
from classifier_inference.log.spool.ticket import SpooledImage, Ticket
from classifier_inference.log.spool.windows import Lock, hold, recover_locked, start_writing

WAIT_SECONDS = 0.005
"""How long an answer waits for its record to be in the spool."""

MOST_WAITING = 512
"""How many records may wait for the disk. With a batch it must fit into what the counters can doubt."""

BATCH = 64
MEASURE_SECONDS = 1.0

WINDOW_SHARE = 0.1
"""How much of the spool a window's images may fill: one that is larger ends early, so that it can be shipped, and make
room, before there is none left."""

_log = structlog.get_logger("spool")


class SpoolTakenError(Exception):
    """Another server writes to this folder."""


class Spool:
    """Writes one folder of a spool. `submit` and `reserve_image` may be called from any thread."""

    def __init__(self, folder: Path, size_bytes: int, window_seconds: float, write: Write = os.write) -> None:
        """Take the folder over. Raises SpoolTakenError, or OSError where it can't be written."""
        self.folder = folder
        self._locks = _lock_folder(folder)
        recover_locked(folder)
        self._ledger = Ledger(folder, size_bytes)
        self._window_seconds = window_seconds
        self._write = write
        self._records: queue.SimpleQueue[Ticket | None] = queue.SimpleQueue()
        self._images: queue.SimpleQueue[tuple[Segment, Ticket | None] | None] = queue.SimpleQueue()
        self._segment: Segment | None = None
        self._takes_all = True
        self._measured_at = time.monotonic()
        self._threads = [
            threading.Thread(target=self._write_records, name="spool-records", daemon=True),
            threading.Thread(target=self._write_images, name="spool-images", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    @property
    def counts(self) -> Counts:
        """What was dropped, since the folder was made."""
        return self._ledger.counts

    @property
    def logged_records(self) -> int:
        """How many records were written since the start."""
        return self._ledger.logged_records

    @property
    def logged_images(self) -> int:
        """How many images were written since the start."""
        return self._ledger.logged_images

    @property
    def used_bytes(self) -> int:
        """How much disk the folder takes, to about a second ago."""
        return self._ledger.used_bytes

    @property
    def budget_bytes(self) -> int:
        """How much it may take at most."""
        return self._ledger.budget_bytes

    def reserve_image(self, size: int) -> bool:
        """Return whether there is room for an image; where there is none it is counted as dropped."""
        return self._ledger.reserve_image(size)

    def submit(self, request_id: UUID, line: bytes, image: SpooledImage | None) -> Ticket:
        """Have a record written, and after it its image, for which there must be room (reserve_image)."""
        ticket = Ticket(request_id, line, image)
        if self._records.qsize() < MOST_WAITING:
            self._records.put(ticket)
        else:
            self._settle([ticket], whole=0)
        return ticket

    async def confirm(self, ticket: Ticket) -> None:
        """Return when the record is in the spool or counted, or after 5 ms at most."""
        if not await ticket.wait(WAIT_SECONDS):
            self._ledger.doubt(ticket)

    def close(self, seconds: float) -> bool:
        """Write what waits, seal the window and let the folder go; return whether that could be done in time."""
        deadline = time.monotonic() + seconds
        self._records.put(None)
        for thread in self._threads:
            thread.join(max(0, deadline - time.monotonic()))
        if any(thread.is_alive() for thread in self._threads):
            return False
        self._ledger.close()
        for lock in self._locks:
            lock.release()
        return True

    def _write_records(self) -> None:
        ended = False
        while not ended:
            batch, ended = self._gather()
            if self._segment is not None and self._is_over(self._segment):
                self._end_segment()
            if batch:
                self._write_batch(batch)
        if self._segment is not None:
            self._end_segment()
        self._images.put(None)

    def _gather(self) -> tuple[list[Ticket], bool]:
        """Return what waits, and whether the end was asked for; waits for it, or for the window's end."""
        segment = self._segment
        timeout = None if segment is None else max(0, segment.ends_at - time.monotonic())
        batch: list[Ticket] = []
        try:
            ticket = self._records.get(timeout=timeout)
            while ticket is not None:
                batch.append(ticket)
                if len(batch) == BATCH:
                    return batch, False
                ticket = self._records.get_nowait()
        except queue.Empty:
            return batch, False
        return batch, True

    def _write_batch(self, batch: list[Ticket]) -> None:
        fitting = self._ledger.count_fitting(batch)
        whole = 0
        if fitting:
            try:
                if self._segment is None:
                    self._segment = self._begin_segment()
                whole = self._segment.append(batch[:fitting])
            except OSError as error:
                _log.warning("the spool can't be written", error=str(error))
        self._tell(whole == len(batch))
        self._settle(batch, whole)

    def _tell(self, takes_all: bool) -> None:
        """Log a change between taking records and dropping them."""
        if takes_all != self._takes_all:
            self._takes_all = takes_all
            note = _log.info if takes_all else _log.warning
            event = "takes records again" if takes_all else "full: drops records"
            note(event, used=self._ledger.used_bytes, of=self._ledger.limit_bytes)

    def _settle(self, batch: list[Ticket], whole: int) -> None:
        """Count what was dropped, then tell those that wait; the first `whole` were taken."""
        self._ledger.settle(batch, whole)
        for ticket in batch[:whole]:
            if ticket.image is not None and self._segment is not None:
                self._images.put((self._segment, ticket))
        for ticket in batch:
            ticket.wake()

    def _begin_segment(self) -> Segment:
        self._ledger.enter_window()
        window = uuid7()
        return Segment(self.folder, window, time.monotonic() + self._window_seconds, self._write)

    def _is_over(self, segment: Segment) -> bool:
        return time.monotonic() >= segment.ends_at or segment.image_bytes >= self.budget_bytes * WINDOW_SHARE

    def _end_segment(self) -> None:
        if self._segment is not None:
            self._images.put((self._segment, None))
            self._segment = None

    def _write_images(self) -> None:
        while True:
            try:
                item = self._images.get(timeout=MEASURE_SECONDS)
            except queue.Empty:
                self._measure()
                continue
            if item is None:
                return
            segment, ticket = item
            if ticket is None:
                self._seal(segment)
            elif ticket.image is not None:
                self._write_image(segment, ticket.request_id, ticket.image)
            if time.monotonic() >= self._measured_at + MEASURE_SECONDS:
                self._measure()

    def _write_image(self, segment: Segment, request_id: UUID, image: SpooledImage) -> None:
        written = segment.append_image(request_id, image, int(time.time()))
        self._ledger.enter_image(len(image.content), written)

    def _seal(self, segment: Segment) -> None:
        try:
            segment.finish()
        except OSError as error:
            _log.warning("a window was left for the next start to seal", error=str(error))
            return
        if segment.missing_images:
            self._ledger.drop_images(segment.missing_images)

    def _measure(self) -> None:
        self._ledger.measure()
        self._measured_at = time.monotonic()


def _lock_folder(folder: Path) -> list[Lock]:
    holding = hold(folder)
    writing = start_writing(folder) if holding is not None else None
    if holding is None or writing is None:
        if holding is not None:
            holding.release()
        raise SpoolTakenError(f"another server writes to {folder}")
    return [holding, writing]
