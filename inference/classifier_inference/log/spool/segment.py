"""The window that is being written: its record file, appended by one thread, and its tar, by another."""

import os
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

from classifier_inference.log.spool.ticket import SpooledImage, Ticket
from classifier_inference.log.spool.windows import OPEN_SUFFIX, TAR_END, TAR_SUFFIX, build_member, seal

Write = Callable[[int, bytes], int]
"""os.write, or what a test puts in its place."""


class Segment:
    """One window's files."""

    def __init__(self, folder: Path, window: UUID, ends_at: float, write: Write) -> None:
        self.ends_at = ends_at
        """When its time is over, by the monotonic clock."""
        self.missing_images = 0
        """How many images were announced in its records and never got into its tar."""
        self._records = folder / (window.hex + OPEN_SUFFIX)
        self._tar = folder / (window.hex + TAR_SUFFIX)
        self._write = write
        self._record_file = _create(self._records)
        self._tar_file: int | None = None
        self._tar_end = 0
        self._torn = False
        self._tar_broken = False

    @property
    def image_bytes(self) -> int:
        """How large its tar is by now."""
        return self._tar_end

    def append(self, tickets: list[Ticket]) -> int:
        """Write the records; return how many of them, from the first on, are whole on disk."""
        start = b"\n" if self._torn else b""
        written = self._write_all(self._record_file, start + b"".join(ticket.line for ticket in tickets)) - len(start)
        whole, end = 0, 0
        for ticket in tickets:
            if end + len(ticket.line) > written:
                break
            end += len(ticket.line)
            whole += 1
        self._torn = written != end
        return whole

    def append_image(self, request_id: UUID, image: SpooledImage, seconds: int) -> int:
        """Write an image into the tar; return how many bytes of disk it took, 0 where it could not be written."""
        member = b"".join(build_member(str(request_id), image.suffix, image.content, seconds))
        if self._tar_broken or not self._write_tar(member):
            self.missing_images += 1
            return 0
        return len(member)

    def finish(self) -> None:
        """Say that the window is complete. Raises OSError where the disk won't have it."""
        if self._tar_file is not None:
            self._write_tar(TAR_END)
            os.close(self._tar_file)
        os.close(self._record_file)
        seal(self._records)

    def _write_tar(self, content: bytes) -> bool:
        try:
            if self._tar_file is None:
                self._tar_file = _create(self._tar)
            written = self._write_all(self._tar_file, content)
            if written < len(content):
                os.ftruncate(self._tar_file, self._tar_end)
                return False
        except OSError:
            self._tar_broken = True
            return False
        self._tar_end += written
        return True

    def _write_all(self, file: int, content: bytes) -> int:
        """Return how many bytes the disk took before it refused the rest."""
        done = 0
        try:
            while done < len(content):
                done += self._write(file, content[done:] if done else content)
        except OSError:
            return done
        return done


def _create(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o644)
