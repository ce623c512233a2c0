"""Checkpoints as PyTorch writes them, in both of its formats, without PyTorch."""

import io
import pickle
import sys
import types
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.torch_checkpoint import MAGIC_NUMBER, PROTOCOL_VERSION, Array


class _Storage:
    """Stands for a torch.FloatStorage or LongStorage; pickled by its persistent id."""

    def __init__(self, key: str, values: Array) -> None:
        self.key, self.values = key, values


class _Tensor:
    def __init__(self, storage: _Storage, shape: tuple[int, ...], strides: tuple[int, ...]) -> None:
        self.rebuilt: tuple[object, ...] = (storage, 0, shape, strides, False, OrderedDict())


def write_checkpoint(path: Path, tensors: dict[str, Array], *, archive: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write tensors as torch.save would: a ZIP archive, or the pickles of versions before 1.6."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")

    def _rebuild_tensor_v2(*_: object) -> None: ...

    _rebuild_tensor_v2.__module__ = utils.__name__
    _rebuild_tensor_v2.__qualname__ = _rebuild_tensor_v2.__name__
    utils._rebuild_tensor_v2 = _rebuild_tensor_v2  # type: ignore[attr-defined]
    kinds = {
        name: type(name, (), {"__module__": "torch", "__qualname__": name}) for name in ("FloatStorage", "LongStorage")
    }
    vars(torch).update(kinds)
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "torch._utils", utils)

    class Pickler(pickle.Pickler):
        def persistent_id(self, value: object) -> object:
            if not isinstance(value, _Storage):
                return None
            kind = kinds["FloatStorage" if value.values.dtype == np.float32 else "LongStorage"]
            last = (value.values.size,) if archive else (value.values.size, None)
            return ("storage", kind, value.key, "cpu", *last)

        def reducer_override(self, value: object) -> Any:
            return (_rebuild_tensor_v2, value.rebuilt) if isinstance(value, _Tensor) else NotImplemented

    storages = [_Storage(str(index), np.ascontiguousarray(array)) for index, array in enumerate(tensors.values())]
    state = OrderedDict(
        (name, _Tensor(storage, array.shape, tuple(step // array.itemsize for step in array.strides)))
        for (name, array), storage in zip(tensors.items(), storages, strict=True)
    )
    if archive:
        index = io.BytesIO()
        Pickler(index, 2).dump(state)
        with zipfile.ZipFile(path, "w") as written:
            written.writestr("model/data.pkl", index.getvalue())
            written.writestr("model/byteorder", b"little")
            for storage in storages:
                written.writestr(f"model/data/{storage.key}", storage.values.tobytes())
        return
    with path.open("wb") as file:
        for value in (MAGIC_NUMBER, PROTOCOL_VERSION, {"little_endian": True}, state, [one.key for one in storages]):
            Pickler(file, 2).dump(value)
        for storage in storages:
            file.write(storage.values.size.to_bytes(8, "little") + storage.values.tobytes())
