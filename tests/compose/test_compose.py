"""The commands and requests of docker-compose.yml's description, as they are typed, in a folder of its own."""

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

from tools.images import MLFLOW, MODEL, ROOT, SERVER_CPU, VERSION, build_image

PROJECT = "imageclassifier-compose-test"
READY_WITHIN = SHIPPED_WITHIN = 180
"""Seconds: what takes longer hangs."""
PHOTO = ROOT / "models/photos/cat.jpg"


@dataclass(frozen=True)
class Stack:
    """What runs, and where it answers."""

    folder: Path
    server: httpx2.Client
    mlflow: httpx2.Client

    def run(self, *command: str) -> str:
        """Run a command as it is typed in the folder; return what it printed."""
        environment = {**os.environ, "COMPOSE_PROJECT_NAME": PROJECT}
        done = subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def await_ready(self) -> None:
        """Return once the server answers."""
        deadline = time.monotonic() + READY_WITHIN
        while not self.is_ready():
            assert time.monotonic() < deadline, self.run("docker", "compose", "logs", "server", "--tail", "20")
            time.sleep(0.2)

    def is_ready(self) -> bool:
        try:
            return self.server.get("/readyz").is_success
        except httpx2.TransportError:
            return False

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
    for image in (SERVER_CPU, MLFLOW, MODEL):
        build_image(image)
    folder = tmp_path_factory.mktemp("compose")
    for name in ("docker-compose.yml", ".env.example"):
        shutil.copy(ROOT / name, folder)
    shutil.copytree(ROOT / "compose", folder / "compose")
    server_port, mlflow_port = os.environ.get("SERVER_PORT", "9000"), os.environ.get("MLFLOW_PORT", "5000")
    server = httpx2.Client(base_url=f"http://127.0.0.1:{server_port}", timeout=60, trust_env=False)
    mlflow = httpx2.Client(base_url=f"http://127.0.0.1:{mlflow_port}/api/2.0/mlflow/", timeout=60, trust_env=False)
    made = Stack(folder, server, mlflow)
    with server, mlflow:
        made.run("cp", ".env.example", ".env")
        try:
            made.run("docker", "compose", "up", "-d")
            made.await_ready()
            yield made
        finally:
            made.run("docker", "compose", "down", "--volumes")


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
    raise AssertionError(stack.run("docker", "compose", "logs", "recorder", "--tail", "20"))


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
    rows, sizes = json.loads(stack.run("docker", "compose", "exec", "-T", "mlflow", "python", "-c", script))
    return rows, sizes


def test_what_was_answered_just_before_the_end_is_shipped_and_the_log_is_kept(stack: Stack) -> None:
    before = count_logged(stack)
    assert stack.server.post("/api/v1/predict", content=PHOTO.read_bytes()).status_code == 200
    stack.run("docker", "compose", "down")
    stack.run("docker", "compose", "up", "-d", "--wait")
    assert count_logged(stack) == before + 1


def count_logged(stack: Stack) -> int:
    """Return how many predictions the windows hold that are finished."""
    finished = [run for run in stack.search_runs() if run["info"]["status"] == "FINISHED"]
    metrics = [{metric["key"]: metric["value"] for metric in run["data"]["metrics"]} for run in finished]
    return sum(int(each.get("count", 0)) for each in metrics)


def test_an_image_is_predicted_by_its_path(stack: Stack) -> None:
    answer = stack.server.post("/api/v1/predict", json={"image_path": "rocket.jpg"})
    assert answer.status_code == 200, answer.text
    assert answer.json()["predictions"][0]["class_id"] == 657


def test_a_prediction_that_was_made_elsewhere_is_logged_and_its_run_read(stack: Stack) -> None:
    made_elsewhere = {"image_path": "cat.jpg", "predictions": [["cat", 0.95], ["dog", 0.05]], "model_version": "1.0.0"}
    logged = stack.server.post("/api/v1/mlflow/log-prediction", json=made_elsewhere)
    assert logged.status_code == 200, logged.text
    run_id = logged.json()["run_id"]
    answer = stack.server.get(f"/api/v1/mlflow/runs/{run_id}")
    assert answer.status_code == 200, answer.text
    run = answer.json()
    assert (run["run_id"], run["status"]) == (run_id, "FINISHED")
    assert run["params"]["model_version"] == "1.0.0"
    assert run["metrics"]["confidence/cat"] == 0.95
    paths = {artifact["path"] for artifact in run["artifacts"]}
    assert "input_images/cat.jpg" in paths
    assert any(path.startswith("prediction_results/prediction_") for path in paths)


def test_health_says_what_serves_and_that_it_is_logged(stack: Stack) -> None:
    answer = stack.server.get("/api/v1/health")
    assert answer.status_code == 200, answer.text
    health = answer.json()
    assert health["model"]["version"] == "1.0.0"
    assert health["log"]["records"]["dropped"] == 0


def test_the_file_names_the_images_that_are_built() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    for image in (SERVER_CPU, MLFLOW):
        repository, _, tag = image.reference.rpartition(":")
        assert f"image: {repository}:${{IMAGECLASSIFIER_VERSION:-{tag}}}" in text
    settings = (ROOT / ".env.example").read_text()
    assert f"IMAGECLASSIFIER_VERSION={VERSION}" in settings
    assert "SERVER_PORT=9000" in settings
