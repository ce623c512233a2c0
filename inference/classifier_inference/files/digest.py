"""Digests of models: of the ONNX file, or of it and the files that its graph names."""

import hashlib
import mmap
from collections.abc import Mapping
from pathlib import Path

from classifier_inference.files.external_data import ExternalDataError, list_external_data
from classifier_inference.report.start_error import StartError
from classifier_inference.report.termination import Reason

MODEL_NAME = "model.onnx"
"""What the ONNX file counts as in the digest of several files, whatever it is called where it lies."""


def digest_model(path: Path, external: Path) -> str:
    """Return the SHA-256 in hex of the ONNX file at `path`, whose graph's files lie under the folder `external`.

    Raises StartError where one of these is not there, or may not be named.
    """
    files = list_model_files(map_file(path), external)
    return combine_digests(_digest_file(path), {name: _digest_file(file) for name, file in files.items()})


def map_file(path: Path) -> bytes | mmap.mmap:
    """Return a file's content without reading what nobody looks at: of a model that is nearly all."""
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if path.stat().st_size else b""


def list_model_files(content: bytes | mmap.mmap, external: Path) -> dict[str, Path]:
    """Return the files that an ONNX file's graph names, and where they lie under the folder `external`.

    Raises StartError (ModelInvalid, ModelNotFound).
    """
    found = {name: external / name for name in name_model_files(content)}
    for name, file in found.items():
        if not file.is_file():
            raise StartError(
                Reason.MODEL_NOT_FOUND,
                f"the model keeps tensors in {name}, and there is no file {file}: "
                "such files are brought beside models by s3:// and models:/, not by https:// and image://",
            )
    return found


def name_model_files(content: bytes | mmap.mmap) -> list[str]:
    """Return the files that an ONNX file's graph names. Raises StartError (ModelInvalid)."""
    try:
        return list_external_data(content)
    except ExternalDataError as error:
        raise StartError(Reason.MODEL_INVALID, str(error)) from None


def combine_digests(model: str, external: Mapping[str, str]) -> str:
    """Return a model's digest: its ONNX file's own, or with external data that of the sorted lines `sha256 path`."""
    if not external:
        return model
    lines = sorted(f"{sha256} {name}\n" for name, sha256 in [(MODEL_NAME, model), *external.items()])
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def check_digest(sha256: str, wanted: str | None) -> None:
    """Raise StartError if a digest is wanted and this is another."""
    if wanted is not None and sha256 != wanted:
        raise StartError(Reason.DIGEST_MISMATCH, f"the model's sha256 is {sha256}, and the object says {wanted}")


def _digest_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
