"""Reads a PyTorch checkpoint without PyTorch, and without running what a pickle may hold.

Since PyTorch 1.6 the file is a ZIP archive: a pickle `data.pkl` of the tensors' names and shapes, and each storage as a
file of its own under `data/`. Before, it was four pickles (a magic number, a protocol version, the writer's byte order
and sizes, the tensors' names and shapes), a fifth with the storages' keys, and then each storage: its length as int64,
and its values. Values are little-endian.
"""

import io
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
PROTOCOL_VERSION = 1001

_DTYPES: dict[str, np.dtype[Any]] = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class _StorageType:
    dtype: np.dtype[Any]


@dataclass(frozen=True)
class _Tensor:
    """A tensor as the pickle tells it: which storage, and where in it. Offset and strides are in values."""

    key: str
    dtype: np.dtype[Any]
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def read_checkpoint(path: Path) -> dict[str, Array]:
    """Return the checkpoint's tensors by name, contiguous. Raises ValueError for any other kind of file."""
    try:
        tensors, storages = _read_archive(path) if zipfile.is_zipfile(path) else _read_pickles(path)
    except (pickle.UnpicklingError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} is not a PyTorch checkpoint: {error}") from error
    return {name: _view(storages[tensor.key], tensor) for name, tensor in tensors.items()}


def _read_archive(path: Path) -> tuple[dict[str, _Tensor], dict[str, Array]]:
    with zipfile.ZipFile(path) as archive:
        (index,) = (name for name in archive.namelist() if name.endswith("/data.pkl"))
        folder = index.removesuffix("data.pkl")
        if f"{folder}byteorder" in archive.namelist() and archive.read(f"{folder}byteorder") != b"little":
            raise ValueError(f"{path} was written on a big-endian machine")
        tensors: dict[str, _Tensor] = _Unpickler(io.BytesIO(archive.read(index))).load()
        dtypes = {tensor.key: tensor.dtype for tensor in tensors.values()}
        return tensors, {key: np.frombuffer(archive.read(f"{folder}data/{key}"), dtypes[key]) for key in dtypes}


def _read_pickles(path: Path) -> tuple[dict[str, _Tensor], dict[str, Array]]:
    with path.open("rb") as file:
        magic, protocol, _sizes, tensors, keys = (_Unpickler(file).load() for _ in range(5))
        if magic != MAGIC_NUMBER or protocol != PROTOCOL_VERSION:
            raise ValueError(f"{path} is not a PyTorch checkpoint of the format before 1.6")
        dtypes = {tensor.key: tensor.dtype for tensor in tensors.values()}
        return tensors, {key: _read_storage(file, dtypes[key]) for key in keys}


class _Unpickler(pickle.Unpickler):
    """Knows the few names that a checkpoint needs, so a pickle can make nothing else."""

    def find_class(self, module: str, name: str) -> Callable[..., Any] | _StorageType:
        match module, name:
            case "collections", "OrderedDict":
                return OrderedDict
            case "torch._utils", "_rebuild_tensor_v2":
                return _rebuild_tensor
            case "torch", "FloatStorage" | "LongStorage":
                return _StorageType(_DTYPES[name])
        raise pickle.UnpicklingError(f"it names {module}.{name}")

    def persistent_load(self, pid: tuple[str, _StorageType, str, object, object]) -> tuple[str, np.dtype[Any]]:
        _, storage_type, key, *_ = pid
        return key, storage_type.dtype


def _rebuild_tensor(
    storage: tuple[str, np.dtype[Any]], offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: object
) -> _Tensor:
    key, dtype = storage
    return _Tensor(key, dtype, offset, shape, strides)


def _read_storage(file: IO[bytes], dtype: np.dtype[Any]) -> Array:
    length = int.from_bytes(file.read(8), "little")
    return np.frombuffer(file.read(length * dtype.itemsize), dtype)


def _view(storage: Array, tensor: _Tensor) -> Array:
    strides = [stride * storage.itemsize for stride in tensor.strides]
    start = storage[tensor.offset :]
    return np.lib.stride_tricks.as_strided(start, tensor.shape, strides, writeable=False).copy()
