"""Checkpoints are read in both of PyTorch's formats, and nothing that a pickle names is run."""

import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

from models.torch_checkpoint import Array, read_checkpoint
from tests.unit.models.checkpoints import write_checkpoint

TENSORS: dict[str, Array] = {
    "kernel": np.arange(24, dtype=np.float32).reshape(2, 3, 2, 2),
    "bias": np.array([0.5, -0.5], np.float32),
    "num_batches_tracked": np.array(7, np.int64),
}


@pytest.mark.parametrize("archive", [True, False], ids=["since 1.6", "before 1.6"])
def test_tensors_come_back_as_they_were(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, archive: bool) -> None:
    path = tmp_path / "weights.pth"
    write_checkpoint(path, TENSORS, archive=archive, monkeypatch=monkeypatch)
    found = read_checkpoint(path)
    assert list(found) == list(TENSORS)
    for name, array in TENSORS.items():
        np.testing.assert_array_equal(found[name], array)
        assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape)


EVIL = b"cos\nsystem\n(S'true'\ntR."


@pytest.mark.parametrize("archive", [True, False], ids=["since 1.6", "before 1.6"])
def test_a_pickle_that_names_anything_else_is_refused(tmp_path: Path, archive: bool) -> None:
    path = tmp_path / "evil.pth"
    if archive:
        with zipfile.ZipFile(path, "w") as written:
            written.writestr("evil/data.pkl", EVIL)
    else:
        path.write_bytes(EVIL)
    with pytest.raises(ValueError, match=r"names os\.system"):
        read_checkpoint(path)


@pytest.mark.parametrize("content", [b"", b"PK", pickle.dumps(1)], ids=["empty", "cut off", "another pickle"])
def test_what_is_no_checkpoint_is_said_to_be_none(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "other.pth"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="is not a PyTorch checkpoint"):
        read_checkpoint(path)
