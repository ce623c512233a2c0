"""Digests of model files."""

import hashlib
from pathlib import Path

from classifier_inference.termination import Reason
from classifier_inference.termination_log import StartError


def digest_file(path: Path) -> str:
    """Return a file's SHA-256 in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_digest(sha256: str, wanted: str | None) -> None:
    """Raise StartError if a digest is wanted and this is another."""
    if wanted is not None and sha256 != wanted:
        raise StartError(Reason.DIGEST_MISMATCH, f"the model's sha256 is {sha256}, and the object says {wanted}")
