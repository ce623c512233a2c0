"""What a spool's folder takes of its disk and may take, and what it had to drop."""

import threading
from pathlib import Path

from classifier_inference.log.spool.counters import Counters, Counts
from classifier_inference.log.spool.room import decide_budget, decide_limit, measure_disk
from classifier_inference.log.spool.ticket import Ticket
from classifier_inference.log.spool.windows import COUNTERS, measure_folder

IMAGE_SHARE = 0.9
"""How much of what may be used images may fill; the rest is left to records."""

MOST_IMAGE_BYTES = 32 * 2**20
"""How many bytes of images may wait for the disk, in memory."""

BLOCK_BYTES = 4096


class Ledger:
    """The accounts of one folder, which is locked by its writer. May be used from any thread."""

    def __init__(self, folder: Path, size_bytes: int) -> None:
        """`size_bytes`: how large the spool was asked to be. Raises OSError where the folder can't be written."""
        self.logged_records = 0
        """How many records were written since the start."""
        self.logged_images = 0
        self._folder = folder
        self._counters = Counters(folder / COUNTERS)
        self._lock = threading.Lock()
        self._used = measure_folder(folder)
        disk = measure_disk(folder)
        self.budget_bytes = decide_budget(size_bytes, disk)
        """How much it may take at most."""
        self._asked_bytes = size_bytes
        self._limit = decide_limit(size_bytes, disk, self._used)
        self._written = 0
        self._waiting_image_bytes = 0

    @property
    def counts(self) -> Counts:
        """What was dropped, since the folder was made."""
        return self._counters.counts

    @property
    def used_bytes(self) -> int:
        """How much disk the folder takes, to about a second ago."""
        return self._used

    @property
    def limit_bytes(self) -> int:
        """How much it may take now."""
        return self._limit

    def reserve_image(self, size: int) -> bool:
        """Return whether there is room for an image; where there is none it is counted as dropped."""
        with self._lock:
            after = self._used + self._waiting_image_bytes + size
            fits = after <= self._limit * IMAGE_SHARE
            if fits and self._waiting_image_bytes + size <= MOST_IMAGE_BYTES:
                self._waiting_image_bytes += size
                return True
            self._counters.add(images=1)
            return False

    def count_fitting(self, batch: list[Ticket]) -> int:
        """Return how many of the records, from the first on, there is room for."""
        room = self._limit - self._used
        fitting = 0
        while fitting < len(batch) and room >= len(batch[fitting].line):
            room -= len(batch[fitting].line)
            fitting += 1
        return fitting

    def doubt(self, ticket: Ticket) -> None:
        """Note that nobody waits any longer for a record which isn't done."""
        with self._lock:
            if not ticket.done:
                ticket.doubted = True
                self._counters.doubt(ticket.request_id)

    def settle(self, batch: list[Ticket], whole: int) -> None:
        """Enter what became of records; the first `whole` were taken, the others dropped."""
        taken, dropped = batch[:whole], batch[whole:]
        with self._lock:
            written = sum(len(ticket.line) for ticket in taken)
            self._used += written
            self._written += written
            self.logged_records += whole
            doubted = frozenset(ticket.request_id for ticket in batch if ticket.doubted)
            lost_images = [ticket.image for ticket in dropped if ticket.image is not None]
            if doubted or dropped:
                self._counters.settle(doubted, len(dropped), len(lost_images))
            self._waiting_image_bytes -= sum(len(image.content) for image in lost_images)
            for ticket in taken:
                ticket.taken = True
            for ticket in batch:
                ticket.done = True

    def enter_window(self) -> None:
        """Enter a window that is begun: a file takes whole blocks of disk, and its last one is counted beforehand."""
        with self._lock:
            self._used += 2 * BLOCK_BYTES
            self._written += 2 * BLOCK_BYTES

    def enter_image(self, size: int, written: int) -> None:
        """Enter an image that waited, and how many bytes of disk it took; 0 where it could not be written."""
        with self._lock:
            self._waiting_image_bytes -= size
            self._used += written
            self._written += written
            self.logged_images += written > 0

    def drop_images(self, count: int) -> None:
        """Count images that were announced in records and never written."""
        with self._lock:
            self._counters.add(images=count)

    def measure(self) -> None:
        """See what the recorder has made room for, and what others have left of the disk."""
        before = self._written
        measured, disk = measure_folder(self._folder), measure_disk(self._folder)
        limit = decide_limit(self._asked_bytes, disk, measured)
        with self._lock:
            self._used = measured + self._written - before
            self._limit = limit

    def close(self) -> None:
        """Let go of the counters."""
        self._counters.close()
