"""Says which version of a registered model an address stands for, where its files lie, and their digest."""

import os
import sys
import tempfile
from pathlib import Path

from classifier_inference.files import fetch
from classifier_inference.files.digest import digest_model
from classifier_inference.files.locate import find_onnx
from classifier_inference.files.sources import EXTERNAL, Source, make_model_source
from classifier_inference.report.start_error import StartError
from classifier_inference.report.termination import Reason, Resolved
from classifier_inference.report.termination_log import write_termination
from classifier_inference.spec.uri import ModelsUri, parse_uri
from classifier_inference.stores.clients import Places, Stores


def resolve_address(
    uri: str, places: Places, ca_file: Path | None, retry_seconds: float, log: Path, *, version_only: bool
) -> int:
    """Leave a note of what the address stands for, in the termination log and on stdout; return the exit status."""
    try:
        with Stores(places, ca_file, os.environ) as stores:
            resolved = resolve(uri, stores, retry_seconds, version_only=version_only)
    except StartError as error:
        write_termination(error.failure, log)
        return 1
    sys.stdout.write(f"{resolved.model_dump_json(exclude_none=True)}\n")
    write_termination(resolved, log)
    return 0


def resolve(uri: str, stores: Stores, retry_seconds: float, *, version_only: bool = False) -> Resolved:
    """Return what the address stands for. The digest is taken of the files: nobody's word is taken for it.

    Raises StartError.
    """
    try:
        address = parse_uri(uri)
    except ValueError as error:
        raise StartError(Reason.SPEC_INVALID, str(error)) from None
    if not isinstance(address, ModelsUri) or address.path:
        raise StartError(Reason.SPEC_INVALID, f"{uri} is neither models:/name/version nor models:/name@alias")
    source = make_model_source(address)
    version = fetch.retry(source, retry_seconds, lambda: stores.registry.resolve_version(address))
    if version_only:
        return Resolved(version=version)
    place = fetch.retry(source, retry_seconds, lambda: stores.registry.find_source(address.name, version))
    return Resolved(version=version, source=place, sha256=_digest(source, place, stores, retry_seconds))


def _digest(source: Source, place: str, stores: Stores, retry_seconds: float) -> str:
    located = fetch.retry(source, retry_seconds, lambda: find_onnx(stores.open_source(place)))
    with tempfile.TemporaryDirectory(prefix="classifier-") as folder:
        model = fetch.fetch_model(source, located, Path(folder), retry_seconds)
        return digest_model(model, Path(folder) / EXTERNAL)
