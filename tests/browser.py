"""Debian's Chromium, or whichever is on PATH."""

import shutil

NAMES = ("chromium", "chromium-browser", "google-chrome")


def find_chromium() -> str:
    """Return the browser's path. Raises FileNotFoundError that says what to install."""
    for name in NAMES:
        if path := shutil.which(name):
            return path
    raise FileNotFoundError("Chromium is needed: on Debian and Ubuntu, apt install chromium")
