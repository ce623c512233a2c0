"""Windows whose run may have been made without anybody hearing of it: looked at again once that must have settled.

A request to make a run that broke, or whose sender was killed, may still be carried out. The recorder goes on at once,
since no run was found, and comes back to see that there is only one.
"""

import json
from collections.abc import Callable
from pathlib import Path

FILE = "unsure.json"
SETTLED_SECONDS = 60.0
"""Longer than a request may take."""


class Unsure:
    """The windows to look at again, in a file that survives a kill."""

    def __init__(self, folder: Path, now: Callable[[], float]) -> None:
        self._path = folder / FILE
        self._now = now
        self._since = self._read()

    def __contains__(self, window_id: str) -> bool:
        return window_id in self._since

    def add(self, window_id: str) -> None:
        """Look at a window again, once enough time has passed."""
        self._since[window_id] = self._now()
        self._write()

    def settle(self, window_id: str) -> None:
        """Look no more: there is one run."""
        if self._since.pop(window_id, None) is not None:
            self._write()

    def list_settled(self, seconds: float = SETTLED_SECONDS) -> list[str]:
        """Return the windows that were added so many seconds ago, or later than now, by a clock that was set back."""
        return [window_id for window_id, since in self._since.items() if abs(self._now() - since) >= seconds]

    def _read(self) -> dict[str, float]:
        try:
            return dict(json.loads(self._path.read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            return {}

    def _write(self) -> None:
        part = self._path.with_name(f".{FILE}.part")
        part.write_text(json.dumps(self._since))
        part.replace(self._path)
