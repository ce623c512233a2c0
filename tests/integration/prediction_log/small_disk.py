"""A disk of a few megabytes, to be filled up."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_MOUNT = """
mount -t tmpfs -o size="$1"m none "$0" && echo mounted || exit
while read -r size; do mount -o remount,size="$size"m "$0" && echo mounted; done
"""


class SmallDisk:
    """A disk in a mount namespace of a process of its own; `path` is where all others see it."""

    def __init__(self, folder: Path, process: subprocess.Popen[str]) -> None:
        self.path = Path(f"/proc/{process.pid}/root{folder}")
        self._process = process

    def grow(self, megabytes: int) -> None:
        """Make it so large, with what lies on it."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{megabytes}\n")
        self._process.stdin.flush()
        assert self.is_mounted()

    def is_mounted(self) -> bool:
        """Wait until the process has said that it has done what it was told; False if it couldn't."""
        assert self._process.stdout is not None
        return self._process.stdout.readline() == "mounted\n"


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[SmallDisk]:
    """Mount one on a folder."""
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", _MOUNT, str(folder), str(megabytes)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        disk = SmallDisk(folder, process)
        if not disk.is_mounted():
            pytest.skip("no disk may be mounted here: what a full one does is not tested")
        yield disk
        process.kill()


def fill(folder: Path, leave: int = 0) -> Path:
    """Fill the folder's disk but for some bytes; return the file that does."""
    path = folder / "filling"
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            file.truncate(max(0, file.tell() - leave))
    return path
