"""Opens files that requests name, under one folder and nowhere else.

A path that leads out of the folder is refused alike whether there is something or not: links are followed here, part by
part, and nothing outside the folder is ever looked at. What is opened is then walked to without following any link, so
that one swapped in meanwhile leads nowhere either.
"""

import errno
import os
import stat
from collections import deque
from pathlib import Path

_LINKS_FOLLOWED = 40
_PATH_BYTES = 4095
_PART_BYTES = 255


class OutsideError(Exception):
    """The path leads out of the folder."""


class NoSuchFileError(Exception):
    """There is nothing of that name, or nothing that may be read."""


class UnusablePathError(Exception):
    """The path can't name a file to read; the message says why."""


class TooLargeError(Exception):
    """The file is over the limit."""


def read_file(root: Path, path: str, limit_bytes: int) -> bytes:
    """Return the content of a regular file under `root`; `path` is relative to it or absolute.

    Never waits for a pipe's other end. Raises OutsideError, NoSuchFileError, UnusablePathError or TooLargeError.
    """
    _check_text(path)
    real_root = root.resolve()
    descriptor = _open(real_root, _resolve(real_root, _absolute_parts(root, real_root, path)))
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise UnusablePathError("it names something that is no regular file")
        if status.st_size > limit_bytes:
            raise TooLargeError
        with open(descriptor, "rb", closefd=False) as file:
            content = file.read(limit_bytes + 1)
    finally:
        os.close(descriptor)
    if len(content) > limit_bytes:
        raise TooLargeError
    return content


def _check_text(path: str) -> None:
    if "\0" in path:
        raise UnusablePathError("it holds a NUL character")
    try:
        encoded = os.fsencode(path)
    except UnicodeEncodeError:
        raise UnusablePathError("it can't be written in this system's encoding") from None
    if len(encoded) > _PATH_BYTES or any(len(part) > _PART_BYTES for part in encoded.split(b"/")):
        raise UnusablePathError(f"it is over {_PATH_BYTES} bytes, or a name in it over {_PART_BYTES}")


def _absolute_parts(root: Path, real_root: Path, path: str) -> list[str]:
    """Return the path's parts from the filesystem's root on, `root` itself by its real name."""
    given = _split(str(root.absolute()))
    parts = _split(path)
    if not path.startswith("/"):
        return _split(str(real_root)) + parts
    if parts[: len(given)] == given:
        return _split(str(real_root)) + parts[len(given) :]
    return parts


def _resolve(root: Path, parts: list[str]) -> list[str]:
    """Return the real path's parts below `root`, following links as the system would.

    Parts outside `root` are taken as they are written: `..` there only cuts the last one off.
    """
    base = _split(str(root))
    done: list[str] = []
    pending = deque(parts)
    links = 0
    while pending:
        part = pending.popleft()
        if part == "..":
            done = done[:-1]
            continue
        done.append(part)
        target = _read_link(done) if len(done) > len(base) and done[: len(base)] == base else None
        if target is None:
            continue
        links += 1
        if links > _LINKS_FOLLOWED:
            raise NoSuchFileError
        done = [] if target.startswith("/") else done[:-1]
        pending.extendleft(reversed(_split(target)))
    if done[: len(base)] != base:
        raise OutsideError
    return done[len(base) :]


def _read_link(parts: list[str]) -> str | None:
    try:
        return str(Path("/", *parts).readlink())
    except OSError:
        return None


def _split(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in {"", "."}]


def _open(root: Path, parts: list[str]) -> int:
    """Return a descriptor of the file, walked to from `root` without following a link."""
    if not parts:
        raise UnusablePathError("it names the folder itself")
    # O_NONBLOCK: opening a pipe that nobody writes to must not wait.
    kinds = [os.O_DIRECTORY] * (len(parts) - 1) + [os.O_NONBLOCK]
    try:
        descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        raise NoSuchFileError from None
    for part, kind in zip(parts, kinds, strict=True):
        try:
            inner = os.open(part, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | kind, dir_fd=descriptor)
        except OSError as error:
            if error.errno == errno.ENXIO:
                raise UnusablePathError("it names something that is no regular file") from None
            raise NoSuchFileError from None
        finally:
            os.close(descriptor)
        descriptor = inner
    return descriptor
