"""The gpu image on a machine without a GPU. `make test-gpu` builds the image and runs this."""

import subprocess
import uuid
from pathlib import Path

import pytest
import yaml

from models.sample import BUILD, HERE, ensure_built
from tools.images import SERVER_GPU
from tools.terminal import console

QUICKSTART = HERE.parent / "manifests" / "samples" / "quickstart.yaml"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Holds the quickstart, asking for CUDA, and the termination log."""
    ensure_built(console)
    document = yaml.safe_load(QUICKSTART.read_text())
    document["spec"]["runtime"] = {"device": "cuda"}
    (tmp_path / "classifier.yaml").write_text(yaml.safe_dump(document))
    (tmp_path / "termination-log").touch()
    (tmp_path / "termination-log").chmod(0o666)
    tmp_path.chmod(0o755)
    return tmp_path


def test_refuses_to_serve_and_names_the_library_that_is_missing(folder: Path) -> None:
    mounts = [f"--volume={folder / 'classifier.yaml'}:/etc/classifier.yaml:ro", f"--volume={BUILD}:/images:ro"]
    mounts += [f"--volume={folder / 'termination-log'}:/dev/termination-log"]
    hardened = ["--read-only", "--cap-drop=ALL", "--tmpfs=/tmp", "--network=none"]
    done = subprocess.run(
        ["docker", "run", "--rm", f"--name=gpu-{uuid.uuid4().hex[:8]}", *hardened, *mounts, SERVER_GPU.reference,
         "serve", "/etc/classifier.yaml", "--images", "/images"],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    told = (folder / "termination-log").read_text()
    assert "DeviceUnavailable" in told
    assert "libcuda.so.1" in told
