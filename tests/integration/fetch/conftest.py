"""Models put into MinIO and MLflow, and `classifier fetch` run on what names them."""

import io
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

from classifier_inference.report.termination import Failure, parse_termination
from tests.integration.prediction_log.stores import BUCKET, Gate, Store, credentials, make_name, s3_client
from tests.integration.server.process import COMMAND, WAIT_SECONDS, Command
from tests.tiny_model import COLOURS, build_document, build_external_model, build_model


class Bucket:
    """MinIO's bucket, with a folder of a test's own."""

    def __init__(self, store: Store) -> None:
        self.endpoint = store.url
        self.prefix = make_name("models")
        self._client = s3_client(store.url)

    def put(self, path: str, content: bytes) -> str:
        """Return the address that the content has from now on."""
        self._client.upload_fileobj(io.BytesIO(content), BUCKET, f"{self.prefix}/{path}")
        return f"s3://{BUCKET}/{self.prefix}/{path}"

    def read(self, uri: str) -> bytes:
        content: bytes = self._client.get_object(Bucket=BUCKET, Key=uri.removeprefix(f"s3://{BUCKET}/"))["Body"].read()
        return content


class Registry:
    """MLflow's registry, with a model of a test's own."""

    def __init__(self, store: Store, bucket: Bucket) -> None:
        self.url = store.url
        self.name = make_name("photos")
        self._bucket = bucket

    def ask(self, path: str, **content: Any) -> dict[str, Any]:
        response = httpx2.post(f"{self.url}/api/2.0/mlflow/{path}", json=content, timeout=WAIT_SECONDS)
        assert response.is_success, response.text
        return dict(response.json())

    def keep_artifacts_in_s3(self) -> None:
        """Have the runs that models are pushed by keep their artifacts in the bucket, not with MLflow itself."""
        self.ask(
            "experiments/create", name=self.name, artifact_location=f"s3://{BUCKET}/{self._bucket.prefix}/artifacts"
        )

    def register(self, files: dict[str, bytes], folder: str = "version") -> str:
        """Put files into the bucket and register their folder; return the version's address."""
        for path, content in files.items():
            self._bucket.put(f"{folder}/{path}", content)
        return self.register_source(f"s3://{BUCKET}/{self._bucket.prefix}/{folder}")

    def register_source(self, source: str) -> str:
        """Return the address of a version whose files are said to lie there."""
        asked = {"name": self.name}
        found = httpx2.get(f"{self.url}/api/2.0/mlflow/registered-models/get", params=asked, timeout=WAIT_SECONDS)
        if found.status_code == 404:
            self.ask("registered-models/create", **asked)
        version = self.ask("model-versions/create", source=source, **asked)["model_version"]["version"]
        return f"models:/{self.name}/{version}"

    def set_alias(self, alias: str, version: str) -> str:
        """Return the alias's address."""
        self.ask("registered-models/alias", name=self.name, alias=alias, version=version)
        return f"models:/{self.name}@{alias}"


def describe(data: str = "model.onnx") -> bytes:
    """An MLmodel that names an ONNX file."""
    return json.dumps({"flavors": {"onnx": {"data": data}}}).encode()


class Tool:
    """Runs `classifier`; keeps what it left behind."""

    def __init__(self, folder: Path, minio: Store, mlflow: Store) -> None:
        self.to = folder / "model"
        self.to.mkdir()
        self.document = folder / "classifier.json"
        self.endpoint = minio.url
        self.tracking_uri = mlflow.url
        self.environment = credentials()
        self.text = ""
        self._log = folder / "termination-log"
        self._log.touch()

    def write(self, uri: str, **changes: Any) -> Path:
        """Write a document whose model has the address."""
        spec: dict[str, Any] = {
            "tracking": {"mode": "External", "uri": self.tracking_uri},
            "storage": {"mode": "External", "endpoint": self.endpoint, "bucket": BUCKET},
            **changes,
        }
        model = {"uri": uri, "labels": {"inline": COLOURS}, **spec.pop("model", {})}
        kept = {name: value for name, value in spec.items() if value is not None}
        self.document.write_text(json.dumps(build_document(self.to, model=model, **kept)))
        return self.document

    def run(
        self, *arguments: str | Path, retry_seconds: float = 60, meanwhile: Callable[[Command], object] = lambda _: None
    ) -> tuple[int, Any]:
        """Return the exit status of a command and the note in its termination log."""
        self._log.write_text("")
        environment = {
            "CLASSIFIER_TERMINATION_LOG": str(self._log),
            "CLASSIFIER_RETRY_SECONDS": str(retry_seconds),
            "AWS_EC2_METADATA_DISABLED": "true",
            **self.environment,
        }
        command = Command(*arguments, **environment)
        meanwhile(command)
        status = command.end()
        self.text = command.text
        assert "Traceback" not in self.text
        return status, parse_termination(self._log.read_text())

    def fetch(
        self,
        uri: str,
        *,
        retry_seconds: float = 60,
        meanwhile: Callable[[Command], object] = lambda _: None,
        **changes: Any,
    ) -> tuple[int, Any]:
        """Run `classifier fetch` on a document whose model has the address."""
        arguments = ("fetch", self.write(uri, **changes), f"--to={self.to}")
        return self.run(*arguments, retry_seconds=retry_seconds, meanwhile=meanwhile)

    def refuse(self, uri: str, reason: str, *messages: str, **changes: Any) -> None:
        """Fetch; it must fail for the reason, with the messages, and leave no half file behind."""
        status, note = self.fetch(uri, **changes)
        self.expect(status, note, reason, *messages)
        assert not [path for path in self.to.rglob("*") if path.name.endswith(".part")]

    def expect_retries(self, uri: str, gate: Gate, message: str) -> None:
        """Fetch through a gate that is shut: it must be tried until the gate opens, and given up where it does not."""

        def open_gate(command: Command) -> None:
            command.wait_for("retrying")
            gate.open()

        gate.shut()
        assert self.fetch(uri, meanwhile=open_gate)[0] == 0
        gate.shut()
        self.refuse(uri, "ModelUnreachable", message, retry_seconds=1.5)

    def expect(self, status: int, note: Any, reason: str, *messages: str) -> None:
        assert isinstance(note, Failure), (note, self.text)
        assert (status, note.reason) == (1, reason), note
        for message in messages:
            assert message in note.message


@pytest.fixture
def bucket(minio: Store) -> Bucket:
    return Bucket(minio)


@pytest.fixture
def registry(mlflow: Store, bucket: Bucket) -> Registry:
    return Registry(mlflow, bucket)


@pytest.fixture
def tool(tmp_path: Path, minio: Store, mlflow: Store) -> Tool:
    return Tool(tmp_path, minio, mlflow)


@pytest.fixture(params=["in one file", "with files beside it"])
def model(request: pytest.FixtureRequest) -> dict[str, bytes]:
    """The files of a model, by their paths."""
    if request.param == "in one file":
        return {"model.onnx": build_model()}
    content, weights = build_external_model("deep/weights.bin")
    return {"model.onnx": content, "deep/weights.bin": weights}


def write_files(folder: Path, files: dict[str, bytes]) -> None:
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)


def digest(folder: Path, files: dict[str, bytes]) -> str:
    """What `classifier digest` says of a model's files."""
    write_files(folder, files)
    command = [COMMAND, "digest", str(folder / "model.onnx")]
    printed = subprocess.run(command, check=True, capture_output=True, text=True)
    return printed.stdout.strip()
