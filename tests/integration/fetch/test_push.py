"""`classifier push`: what it puts into a store, and that the block it prints serves just that."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integration.fetch.conftest import Bucket, Registry, Tool, digest, write_files
from tests.integration.prediction_log.stores import BUCKET, credentials
from tests.integration.server.process import COMMAND
from tests.tiny_model import COLOURS


@pytest.fixture
def folder(tmp_path: Path, model: dict[str, bytes]) -> Path:
    """A folder that a model and its labels lie in."""
    folder = tmp_path / "own"
    write_files(folder, model)
    (folder / "labels.txt").write_text("\n".join(COLOURS))
    return folder


def push(tool: Tool, folder: Path, to: str, **environment: str) -> subprocess.CompletedProcess[str]:
    files = (str(folder / "model.onnx"), f"--labels={folder / 'labels.txt'}")
    command = [COMMAND, "push", *files, f"--to={to}"]
    places = {"MLFLOW_TRACKING_URI": tool.tracking_uri, "AWS_ENDPOINT_URL_S3": tool.endpoint}
    variables = {"PATH": "", "AWS_EC2_METADATA_DISABLED": "true", **credentials(), **places, **environment}
    return subprocess.run(command, env=variables, capture_output=True, text=True)


def read_block(pushed: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert pushed.returncode == 0, pushed.stderr
    (name, block), *others = yaml.safe_load(pushed.stdout).items()
    assert (name, others) == ("model", [])
    return dict(block)


def fetch_pushed(tool: Tool, block: dict[str, Any], model: dict[str, bytes]) -> None:
    """Fetch what the block names; it must be what was pushed."""
    status, note = tool.fetch(block.pop("uri"), model=block)
    assert (status, note.sha256) == (0, block["sha256"]), tool.text
    assert (tool.to / "model.onnx").read_bytes() == model["model.onnx"]
    assert (tool.to / "labels").read_text().split() == COLOURS


@pytest.mark.parametrize("written", ["{}", "{}/", "{}/model.onnx"])
def test_a_model_pushed_to_s3_is_what_its_block_names(
    tool: Tool, bucket: Bucket, folder: Path, model: dict[str, bytes], written: str
) -> None:
    to = f"s3://{BUCKET}/{bucket.prefix}"
    block = read_block(push(tool, folder, written.format(to)))
    assert block == {
        "uri": f"{to}/model.onnx",
        "sha256": digest(folder, model),
        "labels": {"uri": f"{to}/labels.txt"},
    }
    fetch_pushed(tool, block, model)


@pytest.mark.parametrize("artifacts", ["with MLflow", "in S3"])
def test_a_model_pushed_to_mlflow_is_its_next_version(
    tool: Tool, registry: Registry, folder: Path, model: dict[str, bytes], artifacts: str
) -> None:
    if artifacts == "in S3":
        registry.keep_artifacts_in_s3()
    to = f"models:/{registry.name}"
    read_block(push(tool, folder, to))
    block = read_block(push(tool, folder, to))
    assert block == {
        "uri": f"{to}/2",
        "sha256": digest(folder, model),
        "labels": {"uri": f"{to}/2/labels.txt"},
    }
    load_with_mlflow(tool, f"{to}/2")
    fetch_pushed(tool, block, model)


def load_with_mlflow(tool: Tool, uri: str) -> None:
    """MLflow's own client must be able to load it, files beside it and all."""
    script = (
        "import sys, mlflow, numpy\n"
        "mlflow.set_tracking_uri(sys.argv[1])\n"
        "model = mlflow.pyfunc.load_model(sys.argv[2])\n"
        "print(model.predict(numpy.ones((1, 3, 8, 8), 'float32'))['scores'].tolist())\n"
    )
    environment = {**os.environ, **credentials(), "MLFLOW_S3_ENDPOINT_URL": tool.endpoint}
    command = [sys.executable, "-c", script, tool.tracking_uri, uri]
    loaded = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert loaded.returncode == 0, loaded.stderr
    assert loaded.stdout.strip() == "[[10.0, 10.0, 10.0]]"


@pytest.mark.parametrize("model", ["in one file"], indirect=True)
@pytest.mark.parametrize(
    ("to", "environment", "message"),
    [
        ("s3://no-such-bucket/x", {}, "NoSuchBucket: The specified bucket does not exist"),
        ("s3://mlflow/x", {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, "no credentials for the store"),
        ("s3://mlflow/x", {"AWS_ACCESS_KEY_ID": "nobody"}, "InvalidAccessKeyId"),
        ("s3://mlflow/x/other.onnx", {}, "is neither s3://bucket/folder nor models:/name"),
        ("s3://mlflow/../x", {}, "is neither s3://bucket/folder nor models:/name"),
        ("https://host/x", {}, "is neither s3://bucket/folder nor models:/name"),
        ("models:/photos/3", {}, "is not models:/name: the registry counts versions itself"),
        ("models:/photos@champion", {}, "is not models:/name: the registry counts versions itself"),
        ("models:/photos", {"MLFLOW_TRACKING_URI": ""}, "MLFLOW_TRACKING_URI"),
        ("models:/photos", {"MLFLOW_TRACKING_URI": "sqlite:///m.db"}, "sqlite:///m.db is no http(s):// address"),
        ("models:/photos", {"MLFLOW_TRACKING_URI": "http://127.0.0.1:1"}, "the connection was refused"),
    ],
)
def test_what_can_not_be_pushed_is_told_in_one_line(
    tool: Tool, folder: Path, to: str, environment: dict[str, str], message: str
) -> None:
    pushed = push(tool, folder, to, **environment)
    assert (pushed.returncode, pushed.stdout) == (1, "")
    assert message in pushed.stderr
    assert pushed.stderr.count("\n") == 1


def test_a_model_that_lacks_a_file_or_labels_that_are_none_are_not_pushed(
    tool: Tool, registry: Registry, folder: Path, model: dict[str, bytes]
) -> None:
    (folder / "labels.txt").write_text("a\n\nb")
    to = f"models:/{registry.name}"
    assert "line 2 of the labels is blank" in push(tool, folder, to).stderr
    (folder / "labels.txt").write_text("a")
    if "deep/weights.bin" in model:
        (folder / "deep/weights.bin").unlink()
        assert "keeps tensors in deep/weights.bin" in push(tool, folder, to).stderr
        tool.refuse(f"{to}/1", "ModelNotFound", "not found")
