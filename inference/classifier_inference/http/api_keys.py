"""The API keys that open a server: files of a folder, as a Secret's volume has them, read again when they change."""

import hashlib
import hmac
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import structlog

from classifier_inference.report.start_error import StartError
from classifier_inference.report.termination import Reason
from classifier_inference.spec.classifier import Auth

READ_SECONDS = 1.0
"""How old what is known of the files may be when a key is judged."""

_log = structlog.get_logger("keys")


class ApiKeys:
    """The keys of a folder: each file that isn't hidden holds one, white space around it left out.

    A key itself is not kept, only its digest. Used on the event loop alone: it reads a few small files, from memory
    in a pod, once a second at most and only when a request comes.
    """

    def __init__(self, folder: Path, now: Callable[[], float] = time.monotonic) -> None:
        self._folder = folder
        self._now = now
        self._read_at = now()
        self._digests = read_digests(folder)

    @property
    def any(self) -> bool:
        """Whether there is any key: without one nobody is let in."""
        self._read_again()
        return bool(self._digests)

    def opens(self, given: Iterable[bytes]) -> bool:
        """Return whether one of the given strings is a key; how long that takes says nothing of the keys."""
        self._read_again()
        found = False
        for one in given:
            digest = _digest(one)
            for key in self._digests:
                found |= hmac.compare_digest(digest, key)
        return found

    def _read_again(self) -> None:
        now = self._now()
        if now - self._read_at < READ_SECONDS:
            return
        self._read_at = now
        digests = read_digests(self._folder)
        if digests != self._digests:
            self._digests = digests
            _log.info("API keys have changed", keys=len(digests))


def read_digests(folder: Path) -> frozenset[bytes]:
    """Return the SHA-256 of each key. A folder that can't be read has none: then nobody is let in."""
    digests = set()
    try:
        # The kubelet's own links begin with dots: ..data leads to the files, and is swapped when they change.
        for path in folder.iterdir():
            if not path.name.startswith(".") and path.is_file() and (key := path.read_bytes().strip()):
                digests.add(_digest(key))
    except OSError as error:
        _log.warning("API keys can't be read", folder=str(folder), error=error.strerror)
        return frozenset()
    return frozenset(digests)


def open_api_keys(auth: Auth | None, folder: Path | None) -> ApiKeys | None:
    """Return the keys, or None where none are asked for. Raises StartError rather than leave a server open."""
    if folder is None:
        if auth is None:
            return None
        raise StartError(Reason.API_KEYS_MISSING, "auth is set: name the folder of the keys with --api-keys")
    keys = ApiKeys(folder)
    if not keys.any:
        where = f"the Secret {auth.secret}" if auth is not None else str(folder)
        raise StartError(Reason.API_KEYS_MISSING, f"{where} is missing or holds no API key: give it one a data key")
    return keys


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()
