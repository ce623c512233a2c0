"""`docker compose up` as its file says, in a folder of its own: a prediction gets to MLflow, its image to MinIO."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tools.images import MLFLOW, ROOT, SERVER_CPU, VERSION

PROJECT = "imageclassifier-compose-test"
SHIPPED_WITHIN = 60
"""Seconds: a window of ten, and what a busy machine takes."""
PHOTO = ROOT / "models/photos/cat.jpg"


@dataclass(frozen=True)
class Stack:
    """What runs, and where it answers."""

    folder: Path
    server: httpx2.Client
    mlflow: httpx2.Client

    def compose(self, *arguments: str) -> str:
        command = ["docker", "compose", "-p", PROJECT, *arguments]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def search_runs(self) -> list[dict[str, Any]]:
        """Return the runs of the classifier's experiment; none before it is there."""
        answer = self.mlflow.get("experiments/get-by-name", params={"experiment_name": "photos"})
        if answer.status_code == 404:
            return []
        wanted = {"experiment_ids": [answer.json()["experiment"]["experiment_id"]], "max_results": 100}
        runs: list[dict[str, Any]] = self.mlflow.post("runs/search", json=wanted).json().get("runs", [])
        return runs


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("compose")
    for name in ("docker-compose.yml", ".env.example"):
        shutil.copy(ROOT / name, folder)
    shutil.copytree(ROOT / "compose", folder / "compose")
    shutil.copy(folder / ".env.example", folder / ".env")
    ports = {"SERVER_PORT": "9000", "MLFLOW_PORT": "5000"} | {
        name: value for name, value in os.environ.items() if name in {"SERVER_PORT", "MLFLOW_PORT"}
    }
    server = httpx2.Client(base_url=f"http://127.0.0.1:{ports['SERVER_PORT']}", timeout=30, trust_env=False)
    address = f"http://127.0.0.1:{ports['MLFLOW_PORT']}/api/2.0/mlflow/"
    mlflow = httpx2.Client(base_url=address, timeout=30, trust_env=False)
    made = Stack(folder, server, mlflow)
    with server, mlflow:
        try:
            made.compose("up", "-d", "--wait", "--no-build")
            yield made
        finally:
            made.compose("down", "--volumes", "--timeout", "60")


def test_a_prediction_arrives_in_mlflow_with_its_image_in_minio(stack: Stack) -> None:
    answer = stack.server.post("/api/v1/predict", content=PHOTO.read_bytes())
    assert answer.status_code == 200, answer.text
    said = answer.json()
    assert said["predictions"][0]["label"] == "tiger cat"
    run = await_run(stack)
    assert run["info"]["artifact_uri"].startswith("s3://mlflow/artifacts/")
    tags = {tag["key"]: tag["value"] for tag in run["data"]["tags"]}
    assert tags["imageclassifier.window"]
    (row,), (image,) = read_artifacts(stack, run["info"]["artifact_uri"])
    assert row["request_id"] == said["request_id"]
    assert image == len(PHOTO.read_bytes())


def await_run(stack: Stack) -> dict[str, Any]:
    """Return the first run that was finished."""
    deadline = time.monotonic() + SHIPPED_WITHIN
    while time.monotonic() < deadline:
        finished = [run for run in stack.search_runs() if run["info"]["status"] == "FINISHED"]
        if finished:
            return finished[0]
        time.sleep(0.5)
    raise AssertionError(stack.compose("logs", "recorder", "--tail", "20"))


def read_artifacts(stack: Stack, artifact_uri: str) -> tuple[list[dict[str, Any]], list[int]]:
    """Return the rows of predictions.parquet, and the sizes of the images in images.tar, as they are in MinIO."""
    script = f"""
import boto3, io, json, tarfile
import pyarrow.parquet
store = boto3.client("s3", endpoint_url="http://minio:9000")
def read(name):
    key = {artifact_uri!r}.removeprefix("s3://mlflow/") + "/" + name
    return io.BytesIO(store.get_object(Bucket="mlflow", Key=key)["Body"].read())
rows = pyarrow.parquet.read_table(read("predictions.parquet")).to_pylist()
sizes = [member.size for member in tarfile.open(fileobj=read("images.tar"))]
print(json.dumps([rows, sizes], default=str))
"""
    rows, sizes = json.loads(stack.compose("exec", "-T", "mlflow", "python", "-c", script))
    return rows, sizes


def test_what_was_answered_just_before_the_end_is_shipped_and_the_log_is_kept(stack: Stack) -> None:
    before = count_logged(stack)
    assert stack.server.post("/api/v1/predict", content=PHOTO.read_bytes()).status_code == 200
    stack.compose("down", "--timeout", "60")
    stack.compose("up", "-d", "--wait", "--no-build")
    assert count_logged(stack) == before + 1


def count_logged(stack: Stack) -> int:
    """Return how many predictions the finished runs hold."""
    finished = [run for run in stack.search_runs() if run["info"]["status"] == "FINISHED"]
    metrics = [{metric["key"]: metric["value"] for metric in run["data"]["metrics"]} for run in finished]
    return sum(int(each["count"]) for each in metrics)


def test_the_first_description_s_requests_are_answered(stack: Stack) -> None:
    named = stack.server.post("/api/v1/predict", json={"image_path": "rocket.jpg"})
    assert named.status_code == 200, named.text
    health = stack.server.get("/api/v1/health")
    assert health.status_code == 200
    logged = stack.server.post(
        "/api/v1/mlflow/log-prediction",
        json={"image_path": "cat.jpg", "predictions": [["cat", 0.95], ["dog", 0.05]], "model_version": "1.0.0"},
    )
    assert logged.status_code in {200, 201}, logged.text
    run = stack.server.get(f"/api/v1/mlflow/runs/{logged.json()['run_id']}")
    assert run.status_code == 200, run.text
    assert any("prediction_results/" in json.dumps(artifact) for artifact in run.json()["artifacts"])


def test_the_file_names_the_images_that_are_built() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    for image in (SERVER_CPU, MLFLOW):
        repository, _, tag = image.reference.rpartition(":")
        assert f"image: {repository}:${{IMAGECLASSIFIER_VERSION:-{tag}}}" in text
    assert f"IMAGECLASSIFIER_VERSION={VERSION}" in (ROOT / ".env.example").read_text()
