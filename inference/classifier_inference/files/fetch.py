"""Brings a classifier's files here and checks what can be checked before the server starts."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import structlog
import tenacity

from classifier_inference.files.digest import check_digest, digest_model, list_model_files, map_file, name_model_files
from classifier_inference.files.document import read_document
from classifier_inference.files.labels import read_labels
from classifier_inference.files.locate import LocatedModel, locate_model
from classifier_inference.files.sources import (
    EXTERNAL,
    EXTERNAL_LIMIT_BYTES,
    MODEL_FILE,
    Source,
    find_files,
    in_folder,
    list_sources,
)
from classifier_inference.report.start_error import StartError
from classifier_inference.report.termination import Fetched, Reason
from classifier_inference.report.termination_log import write_termination
from classifier_inference.spec.classifier import ClassifierSpec
from classifier_inference.spec.uri import FileUri, ImageUri
from classifier_inference.stores.clients import Stores, find_places
from classifier_inference.stores.remote_file import RemoteFile
from classifier_inference.stores.store_error import StoreError, Trouble

RETRY_SECONDS = 30.0
T = TypeVar("T")
_log = structlog.get_logger("fetch")


def fetch_document(document: Path, folder: Path, ca_file: Path | None, retry_seconds: float, log: Path) -> int:
    """Bring the document's files into a folder and leave a note of it; return the process's exit status."""
    try:
        spec = read_document(document).spec
        with open_stores(spec, ca_file) as stores:
            fetched = fetch_files(spec, folder, stores, retry_seconds)
    except StartError as error:
        write_termination(error.failure, log)
        return 1
    write_termination(fetched, log)
    return 0


def open_stores(spec: ClassifierSpec, ca_file: Path | None) -> Stores:
    """Return the stores that a classifier's addresses lead to."""
    return Stores(find_places(spec, os.environ), ca_file)


def fetch_files(spec: ClassifierSpec, folder: Path, stores: Stores, retry_seconds: float) -> Fetched:
    """Bring what is not in a container image into the folder, and check model and labels, whoever brought them.

    Raises StartError for what retrying can't mend, or what `retry_seconds` of it didn't.
    """
    for source in list_sources(spec):
        match source.address:
            case ImageUri():
                continue
            case FileUri():
                raise StartError(
                    Reason.SPEC_INVALID, f"{source.what} has a file: address, which only works without a cluster"
                )
            case _:
                fetch_source(source, folder, stores, retry_seconds)
    files = find_files(spec, in_folder(folder))
    read_labels(spec, files.labels)
    sha256 = digest_model(files.model, files.external)
    check_digest(sha256, spec.model.sha256)
    external = list_model_files(map_file(files.model), files.external).values()
    return Fetched(sha256=sha256, bytes=sum(path.stat().st_size for path in [files.model, *external]))


def fetch_source(source: Source, folder: Path, stores: Stores, retry_seconds: float) -> Path:
    """Bring one file, and if it is the model every file that its graph names; return where it lies."""
    address = source.address
    if isinstance(address, ImageUri | FileUri):
        raise TypeError(f"{address} is not fetched")
    if source.name == MODEL_FILE:
        located = retry(source, retry_seconds, lambda: locate_model(stores, address))
        return fetch_model(source, located, folder, retry_seconds)
    remote = retry(source, retry_seconds, lambda: stores.open_file(address))
    return download(source, remote, folder / source.name, source.limit_bytes, retry_seconds)


def fetch_model(source: Source, located: LocatedModel, folder: Path, retry_seconds: float) -> Path:
    """Bring an ONNX file, and from the folder that it lies in every file that its graph names."""
    model = download(source, located.file, folder / source.name, source.limit_bytes, retry_seconds)
    left = EXTERNAL_LIMIT_BYTES
    for name in name_model_files(map_file(model)):
        if located.folder is None:
            raise StartError(
                Reason.MODEL_INVALID,
                f"the model keeps tensors in {name}, beside it, which https:// doesn't bring: "
                "use s3:// or models:/, or save it as one file",
            )
        target = folder / EXTERNAL / name
        target.parent.mkdir(parents=True, exist_ok=True)
        left -= download(source, located.folder.file(name), target, left, retry_seconds).stat().st_size
    return model


def download(source: Source, remote: RemoteFile, target: Path, limit_bytes: int, retry_seconds: float) -> Path:
    """Download one file, again with growing delay while the failure may pass; return where it lies.

    It gets its name only when it is whole.
    """
    part = target.with_name(f".{target.name}.part")
    try:
        retry(source, retry_seconds, lambda: _download_once(remote, part, limit_bytes), at=remote.address)
        part.replace(target)
    except OSError as error:
        raise StartError(source.unreachable, f"{source.what} can't be written: {error.strerror}") from None
    finally:
        part.unlink(missing_ok=True)
    _log.info("fetched", file=target.name, source=remote.address, bytes=target.stat().st_size)
    return target


def retry(source: Source, seconds: float, attempt: Callable[[], T], at: str | None = None) -> T:
    """Return what the attempt returns, made again with growing delay while its failure may pass.

    Raises StartError with the source's own reason for what doesn't.
    """
    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception(lambda error: isinstance(error, StoreError) and error.passing),
        wait=tenacity.wait_exponential_jitter(initial=0.5, max=8, jitter=0.5),
        stop=tenacity.stop_before_delay(seconds),
        before_sleep=lambda state: _log.warning("retrying", file=source.name, why=str(_get_error(state))),
        reraise=True,
    )
    try:
        return retrying(attempt)
    except StoreError as error:
        message = f"{source.what} at {at or source.address}: {error}"
        raise StartError(source.not_found if error.missing else source.unreachable, message) from None


def _download_once(remote: RemoteFile, part: Path, limit_bytes: int) -> None:
    with remote.read() as chunks, part.open("wb") as file:
        size = 0
        for chunk in chunks:
            size += len(chunk)
            if size > limit_bytes:
                raise StoreError(Trouble.REFUSED, f"it is over {limit_bytes} bytes")
            file.write(chunk)


def _get_error(state: tenacity.RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome is not None else None
