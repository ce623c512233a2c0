"""The package as a wheel, with a C compiler and without one."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tools.images import ROOT

PARTS = ("pyproject.toml", "README.md", "LICENSE", "inference", "operator")


def build_wheel(folder: Path, **environment: str) -> Path:
    """Build from a copy of the sources; return the wheel."""
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, folder / part, ignore=shutil.ignore_patterns("*.so", "__pycache__"))
        else:
            shutil.copy(source, folder)
    uv = str(Path(sys.executable).with_name("uv"))
    command = [uv, "build", "--wheel", "--quiet", "--no-config", str(folder)]
    ran = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    (wheel,) = (folder / "dist").glob("*.whl")
    return wheel


@pytest.mark.parametrize(("compiler", "kernels"), [("cc", 1), ("/bin/false", 0)], ids=["compiler", "none"])
def test_a_wheel_is_built_with_the_kernel_or_without(tmp_path: Path, compiler: str, kernels: int) -> None:
    wheel = build_wheel(tmp_path, CC=compiler)
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert names.count("classifier_inference/images/resample.abi3.so") == kernels
    assert "classifier_inference/http/server.py" in names
    assert "-cp311-abi3-" in wheel.name
