"""Logging with no cluster: the same document, MLflow on SQLite and a folder."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from classifier_inference.cli import local_log
from classifier_inference.log.spool.windows import list_sealed
from classifier_inference.stores.mlflow_api.run_client import connect
from tests.integration.prediction_log.stores import START_SECONDS, wait_until
from tests.integration.server.process import COMMAND, WAIT_SECONDS, Command, Server, free_port
from tests.tiny_model import make_image, write_document

pytestmark = pytest.mark.usefixtures("usual_port")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that commands are started in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def server(folder: Path) -> Iterator[Server]:
    document = write_document(folder, tracking={"mode": "Managed"}, storage={"mode": "Managed"}, predictionLog={})
    server = Server(document, IMAGE_ROOT=str(folder)).wait_until_ready()
    yield server
    if server.process.poll() is None:
        server.send(signal.SIGINT)
        server.end()


def read_running(folder: Path) -> str | None:
    return local_log.read_running(folder / ".classifier")


def test_predictions_are_in_mlflow_once_the_server_has_ended(folder: Path, server: Server) -> None:
    with server.client() as client:
        wait_until(lambda: read_running(folder), "MLflow", START_SECONDS)
        address = read_running(folder)
        assert address is not None
        answers = [client.post("/api/v1/predict", content=make_image("red")).json() for _ in range(3)]
        (folder / "cat.png").write_bytes(make_image("blue"))
        given = {"image_path": "cat.png", "predictions": [["cat", 0.9]]}
        assert client.post("/api/v1/mlflow/log-prediction", json=given).status_code == 200
        again = subprocess.run([COMMAND, "ui"], capture_output=True, text=True, check=True)
        assert again.stdout == f"MLflow shows it at {address}\n"
    server.send(signal.SIGINT)
    assert server.end() == 0
    assert list((folder / ".classifier/spool").glob("*/*.jsonl")) == []
    assert read_running(folder) is None
    port = free_port()
    ui = subprocess.Popen([COMMAND, "ui", f"--port={port}"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: read_running(folder), "MLflow", START_SECONDS)
        mlflow = connect(f"http://127.0.0.1:{port}")
        experiment = mlflow.find_experiment("colours")
        assert experiment is not None
        runs = list(mlflow.find_runs(experiment, ""))
        windows = [run for run in runs if "imageclassifier.window" in run.tags]
        assert len(runs) == 2
        assert [run.metrics["count"] for run in windows] == [len(answers)]
        assert {file.path for file in mlflow.list_artifacts(windows[0].run_id)} == {
            "images.tar", "predictions.parquet",
        }  # fmt: skip
        mlflow.close()
    finally:
        ui.terminate()
        ui.communicate()


def test_a_server_that_is_killed_takes_its_children_along_and_what_it_left_is_shipped(
    folder: Path, server: Server
) -> None:
    spool = folder / ".classifier/spool/local-1"
    with server.client() as client:
        client.post("/api/v1/predict", content=make_image("red"))
        wait_until(lambda: (spool / "recorder.json").exists(), "the recorder")
    children = psutil.Process(server.process.pid).children()
    assert len(children) == 2
    server.send(signal.SIGKILL)
    server.end()
    assert psutil.wait_procs(children, timeout=WAIT_SECONDS)[1] == []
    again = Server(folder / "classifier.json").wait_until_ready()
    try:
        # What is to be shipped at the end waits for no time between two tries.
        wait_until(lambda: read_running(folder), "MLflow", START_SECONDS)
        # The first question takes it seconds, of the ten that there are.
        with closing(connect(str(read_running(folder)))) as mlflow:
            mlflow.find_experiment("colours")
    finally:
        again.send(signal.SIGINT)
        assert again.end() == 0
    assert list_sealed(spool) == []
    assert list(spool.glob("*.jsonl")) == []


def test_without_mlflow_it_is_said_in_one_line_how_to_get_it(folder: Path) -> None:
    # A path entry whose mlflow can't be found hides the one that is installed.
    hidden = folder / "hidden"
    hidden.mkdir()
    (hidden / "sitecustomize.py").write_text(
        "import sys\n"
        "class Hide:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'mlflow':\n"
        "            raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Hide())\n"
    )
    environment = {"PYTHONPATH": os.pathsep.join([str(hidden), os.environ.get("PYTHONPATH", "")])}
    server = Server(write_document(folder, tracking={"mode": "Managed"}, predictionLog={}), **environment)
    line = server.wait_for("predictions are not logged")
    server.wait_until_ready()
    try:
        with server.client() as client:
            assert client.post("/api/v1/predict", content=make_image("red")).status_code == 200
            assert client.get("/api/v1/health").json()["log"] is None
    finally:
        server.send(signal.SIGINT)
        assert server.end() == 0
    assert f"{sys.executable} -m pip install mlflow" in line
    assert not (folder / ".classifier").exists()
    ui = Command("ui", **environment)
    assert ui.end() == 1
    assert "pip install mlflow" in ui.text


def test_with_nothing_logged_there_is_nothing_to_show(folder: Path) -> None:
    ui = Command("ui")
    assert ui.end() == 1
    assert "Nothing was logged yet" in ui.text
