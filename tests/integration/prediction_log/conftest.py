"""Recorders that ship to MLflow and MinIO."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from classifier_inference.log.recorder.recorder_state import RecorderState, read_state
from classifier_inference.log.spool.windows import list_sealed
from classifier_inference.stores.mlflow_api.run_client import connect
from classifier_inference.stores.mlflow_api.run_data import Run
from tests.integration.prediction_log.stores import (
    BUCKET,
    Gate,
    Store,
    collect_garbage,
    credentials,
    make_name,
    s3_client,
    show_certificates,
    wait_until,
)
from tests.integration.server.process import Command
from tests.tiny_model import build_document


class Recording:
    """An experiment of its own, a spool, and recorders that ship one to the other."""

    def __init__(self, folder: Path, mlflow: Store, minio: Store, mlflow_folder: Path) -> None:
        self._mlflow, self._minio, self._mlflow_folder = mlflow, minio, mlflow_folder
        self.experiment = make_name("experiment")
        self.spool = folder / "spool"
        self.own = self.spool / "pod-1"
        self.to_mlflow = Gate(mlflow.port)
        self.to_minio = Gate(minio.port)
        self.client = connect(mlflow.url)
        self.s3 = s3_client(minio.url)
        self.bucket = BUCKET
        self.tracking_uri = self.to_mlflow.url
        self.termination_log = folder / "termination-log"
        self.termination_log.touch()
        self._document = folder / "classifier.json"
        self._recorders: list[Command] = []

    def use_s3(self) -> None:
        """Have MLflow keep this experiment's artifacts in S3: recorders go there themselves."""
        self.client._server.call(
            "POST",
            "experiments/create",
            {"name": self.experiment, "artifact_location": f"s3://{BUCKET}/artifacts/{self.experiment}"},
            dict,
        )

    def go_behind_tls(self, folder: Path) -> Path:
        """Have both stores show certificates of an authority of their own; return the file with its certificate."""
        ca_file, context = show_certificates(folder)
        self.to_mlflow.shut()
        self.to_minio.shut()
        self.to_mlflow, self.to_minio = Gate(self._mlflow.port, context), Gate(self._minio.port, context)
        self.tracking_uri = self.to_mlflow.url
        return ca_file

    def start(
        self, pod: str = "pod-1", *options: str, keys: dict[str, str] | None = None, keep: bool = False, **log: Any
    ) -> Command:
        """Start a recorder; `keep`: as in a pod, where it is begun again when it dies."""
        storage = {"mode": "External", "endpoint": self.to_minio.url, "bucket": self.bucket}
        document = build_document(
            self._document.parent,
            tracking={"mode": "External", "uri": self.tracking_uri},
            storage=storage,
            predictionLog={"experiment": self.experiment, **log},
        )
        self._document.write_text(json.dumps(document))
        arguments = ("record", self._document, "--spool", self.spool, f"--pod={pod}", "--namespace=team-a")
        environment = {**credentials(), **(keys or {}), "CLASSIFIER_TERMINATION_LOG": str(self.termination_log)}
        self._recorders.append(Command(*arguments, *options, *(["--keep"] if keep else []), **environment))
        return self._recorders[-1]

    def collect_garbage(self, run_id: str | None = None) -> None:
        """Run `mlflow gc` beside the server, for a deleted run or for all."""
        collect_garbage(self._mlflow_folder, self._mlflow.url, self._minio.url, run_id)

    def end(self) -> None:
        for recorder in self._recorders:
            recorder.kill()
        self.client.close()
        self.to_mlflow.shut()
        self.to_minio.shut()

    def wait_until_shipped(self, seconds: float = 60) -> None:
        wait_until(lambda: not any(self.spool.glob("*/*.jsonl")), "the spool to be empty", seconds)

    def wait_for_state(self, wanted: Callable[[RecorderState], object]) -> RecorderState:
        def find() -> bool:
            state = read_state(self.own)
            return state is not None and bool(wanted(state))

        wait_until(find, f"recorder.json, which says {read_state(self.own)}")
        state = read_state(self.own)
        assert state is not None
        return state

    @property
    def backlog(self) -> int:
        return len(list_sealed(self.own))

    def runs(self) -> list[Run]:
        """The active runs, oldest first."""
        experiment_id = self.client.find_experiment(self.experiment)
        assert experiment_id is not None
        return list(self.client.find_runs(experiment_id, "", order_by=["attributes.start_time ASC"]))

    def read(self, uri: str) -> bytes:
        """What lies at an s3:// address."""
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        content: bytes = self.s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        return content

    def keys(self) -> list[str]:
        """The keys of this experiment's objects."""
        found = self.s3.list_objects_v2(Bucket=BUCKET, Prefix=f"artifacts/{self.experiment}/")
        return [item["Key"] for item in found.get("Contents", [])]


@pytest.fixture
def recording(tmp_path: Path, mlflow: Store, minio: Store, mlflow_folder: Path) -> Iterator[Recording]:
    """A recording whose artifacts lie in S3."""
    recording = Recording(tmp_path, mlflow, minio, mlflow_folder)
    recording.use_s3()
    yield recording
    recording.end()


@pytest.fixture
def proxied(tmp_path: Path, mlflow: Store, minio: Store, mlflow_folder: Path) -> Iterator[Recording]:
    """A recording whose artifacts go through MLflow."""
    recording = Recording(tmp_path, mlflow, minio, mlflow_folder)
    yield recording
    recording.end()
