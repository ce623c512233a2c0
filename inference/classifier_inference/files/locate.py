"""Where a model's ONNX file lies, and the folder that the files its graph names are in."""

from dataclasses import dataclass
from typing import Any

import yaml

from classifier_inference.spec.uri import HttpsUri, ModelsUri, S3Uri, is_inside
from classifier_inference.stores.clients import Stores
from classifier_inference.stores.remote_file import Folder, RemoteFile
from classifier_inference.stores.s3.folder import S3Folder
from classifier_inference.stores.store_error import StoreError, Trouble

DESCRIPTION = "MLmodel"
_DESCRIPTION_LIMIT_BYTES = 2**20


@dataclass(frozen=True)
class LocatedModel:
    """An ONNX file elsewhere."""

    file: RemoteFile
    folder: Folder | None
    """None where files beside it can't be asked for."""


def locate_model(stores: Stores, address: HttpsUri | S3Uri | ModelsUri) -> LocatedModel:
    """Return where the ONNX file of an address lies. Raises StoreError."""
    match address:
        case HttpsUri():
            return LocatedModel(stores.open_file(address), None)
        case S3Uri(bucket, key):
            prefix, _, name = key.rpartition("/")
            folder = S3Folder(stores.s3, bucket, prefix)
            return LocatedModel(folder.file(name), folder)
        case ModelsUri():
            return find_onnx(stores.open_version(address))


def find_onnx(folder: Folder) -> LocatedModel:
    """Return the ONNX file of a folder that MLflow's MLmodel describes, and the folder that file is in.

    Raises StoreError where MLmodel names none, or one outside the folder.
    """
    description = folder.file(DESCRIPTION)
    flavors = _parse_flavors(_read(description), description.address)
    if not isinstance(flavors.get("onnx"), dict):
        raise StoreError(
            Trouble.REFUSED,
            f"{description.address} names no ONNX model: its flavors are {', '.join(map(str, flavors))}",
        )
    path = flavors["onnx"].get("data")
    if not isinstance(path, str) or not is_inside(path):
        raise StoreError(
            Trouble.REFUSED, f"{description.address} names {path!r} as the ONNX file, which is not inside its folder"
        )
    parent, _, name = path.rpartition("/")
    inner = _Subfolder(folder, parent) if parent else folder
    return LocatedModel(inner.file(name), inner)


@dataclass(frozen=True)
class _Subfolder:
    outer: Folder
    path: str

    def file(self, path: str) -> RemoteFile:
        return self.outer.file(f"{self.path}/{path}")


def _read(file: RemoteFile) -> bytes:
    content = bytearray()
    try:
        with file.read() as chunks:
            for chunk in chunks:
                content += chunk
                if len(content) > _DESCRIPTION_LIMIT_BYTES:
                    raise StoreError(Trouble.REFUSED, f"it is over {_DESCRIPTION_LIMIT_BYTES} bytes")
    except StoreError as error:
        if error.passing:
            raise
        raise StoreError(error.trouble, f"{file.address}: {error}") from None
    return bytes(content)


def _parse_flavors(content: bytes, address: str) -> dict[str, Any]:
    try:
        parsed = yaml.safe_load(content)
        flavors = parsed["flavors"]
        if isinstance(flavors, dict):
            return flavors
    except (yaml.YAMLError, UnicodeDecodeError, TypeError, KeyError, RecursionError):
        pass
    raise StoreError(Trouble.REFUSED, f"{address} is not a description of a model: it has no flavors")
