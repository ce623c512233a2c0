"""Models by models:/, from a real MLflow with artifacts of its own and in a real store."""

import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from classifier_inference.report.termination import Fetched, Resolved
from tests.integration.fetch.conftest import Bucket, Registry, Tool, describe, digest
from tests.integration.prediction_log.stores import BUCKET, Gate, Store, credentials
from tests.integration.server.process import Server
from tests.tiny_model import COLOURS, build_external_model, build_model, make_image


def test_a_version_is_brought_with_its_labels_and_every_file_that_it_names(
    tool: Tool, registry: Registry, model: dict[str, bytes], tmp_path: Path
) -> None:
    folder = {f"data/{path}": content for path, content in model.items()}
    labels = "\n".join(COLOURS).encode()
    uri = registry.register({**folder, "MLmodel": describe("data/model.onnx"), "labels.txt": labels})
    sha256 = digest(tmp_path / "own", model)
    status, note = tool.fetch(uri, model={"labels": {"uri": f"{uri}/labels.txt"}})
    assert (status, note) == (0, Fetched(sha256=sha256, bytes=sum(map(len, model.values()))))
    assert (tool.to / "labels").read_bytes() == labels


def test_a_model_that_mlflow_logged_itself_is_brought(
    tool: Tool, registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logged = log_with_mlflow(registry, monkeypatch)
    status, note = tool.fetch(logged)
    assert (status, note.sha256) == (0, digest(tmp_path / "own", {"model.onnx": (tool.to / "model.onnx").read_bytes()}))
    server = Server(tool.document, f"--files={tool.to}").wait_until_ready()
    with server.client() as client:
        answer = client.post("/api/v1/predict", content=make_image("blue")).json()
    server.kill()
    assert answer["predictions"][0]["label"] == "blue"


def log_with_mlflow(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the address of a version that MLflow's own client has logged."""
    script = (
        "import sys, mlflow, onnx\n"
        "mlflow.set_tracking_uri(sys.argv[1])\n"
        "with mlflow.start_run():\n"
        "    mlflow.onnx.log_model(onnx.load(sys.argv[2]), name='model', registered_model_name=sys.argv[3],\n"
        "                          pip_requirements=[])\n"
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m.onnx"
        path.write_bytes(build_model())
        subprocess.run(
            [sys.executable, "-c", script, registry.url, str(path), registry.name],
            check=True,
            cwd=folder,
            capture_output=True,
        )
    return f"models:/{registry.name}/1"


def test_an_alias_leads_to_the_version_that_it_names(tool: Tool, registry: Registry, tmp_path: Path) -> None:
    first = {"model.onnx": build_model()}
    second = {"model.onnx": build_model(factor=5)}
    for number, files in enumerate((first, second), 1):
        registry.register({**files, "MLmodel": describe()}, f"v{number}")
    for version, files in (("1", first), ("2", second)):
        alias = registry.set_alias("champion", version)
        assert tool.fetch(alias)[1].sha256 == digest(tmp_path / version, files)


def test_resolving_leaves_version_source_and_digest(
    tool: Tool, registry: Registry, bucket: Bucket, model: dict[str, bytes], tmp_path: Path
) -> None:
    registry.register({**model, "MLmodel": describe()})
    alias = registry.set_alias("champion", "1")
    places = (f"--tracking-uri={registry.url}", f"--endpoint={tool.endpoint}")
    source = f"s3://{BUCKET}/{bucket.prefix}/version"
    wanted = Resolved(version="1", source=source, sha256=digest(tmp_path / "own", model))
    assert tool.run("resolve", alias, *places) == (0, wanted)
    assert tool.run("resolve", alias, "--version-only", *places) == (0, Resolved(version="1"))


def test_what_the_registry_does_not_have_is_told_in_its_own_words(tool: Tool, registry: Registry) -> None:
    registry.register({"model.onnx": build_model(), "MLmodel": describe()})
    nobody = f"models:/{registry.name}@nobody"
    tool.refuse(nobody, "ModelNotFound", f"the model at {nobody}: ", "Registered model alias nobody not found.")
    tool.refuse(f"models:/{registry.name}/9", "ModelNotFound", f"(name={registry.name}, version=9) not found")
    tool.refuse("models:/nothing/1", "ModelNotFound", "(name=nothing, version=1) not found")
    tool.refuse("models:/nothing@champion", "ModelNotFound", "Registered Model with name=nothing not found")
    status, note = tool.run("resolve", nobody, f"--tracking-uri={registry.url}")
    tool.expect(status, note, "ModelNotFound", "alias nobody not found")
    assert "retrying" not in tool.text


@pytest.mark.parametrize(
    ("files", "reason", "messages"),
    [
        ({}, "ModelNotFound", ["version/MLmodel: the store answered NoSuchKey"]),
        ({"MLmodel": b"hello"}, "ModelUnreachable", ["MLmodel is not a description of a model"]),
        ({"MLmodel": b"{"}, "ModelUnreachable", ["MLmodel is not a description of a model"]),
        ({"MLmodel": b"\xff\xfe"}, "ModelUnreachable", ["MLmodel is not a description of a model"]),
        (
            {"MLmodel": b'{"flavors": {"pytorch": {}, "python_function": {}}}'},
            "ModelUnreachable",
            ["names no ONNX model: its flavors are pytorch, python_function"],
        ),
        ({"MLmodel": describe("../model.onnx")}, "ModelUnreachable", ["'../model.onnx'", "not inside its folder"]),
        ({"MLmodel": describe("/model.onnx")}, "ModelUnreachable", ["'/model.onnx'", "not inside its folder"]),
        ({"MLmodel": describe("a/../../model.onnx")}, "ModelUnreachable", ["not inside its folder"]),
        ({"MLmodel": describe("absent.onnx")}, "ModelNotFound", ["version/absent.onnx: the store answered NoSuchKey"]),
        ({"MLmodel": b" " * (2**20 + 1)}, "ModelUnreachable", ["it is over 1048576 bytes"]),
    ],
)
def test_a_version_that_is_no_onnx_model_is_refused(
    tool: Tool, registry: Registry, bucket: Bucket, files: dict[str, bytes], reason: str, messages: list[str]
) -> None:
    bucket.put("model.onnx", build_model())
    tool.refuse(registry.register(files), reason, *messages)
    assert not list(tool.to.iterdir())


@pytest.mark.parametrize("location", ["../secret.bin", "/etc/passwd"])
def test_a_graph_that_names_a_file_outside_the_version_is_refused(
    tool: Tool, registry: Registry, location: str
) -> None:
    content, _ = build_external_model(location)
    uri = registry.register({"model.onnx": content, "MLmodel": describe()})
    tool.refuse(uri, "ModelInvalid", f"keeps tensors in {location!r}, which is not inside its folder")


def test_a_version_that_lies_where_nobody_else_gets_is_told(tool: Tool, registry: Registry) -> None:
    uri = registry.register_source("gs://bucket/model")
    tool.refuse(uri, "ModelUnreachable", "'gs://bucket/model': only s3:// and mlflow-artifacts:/ can be reached")


def test_tracking_has_to_say_which_mlflow(tool: Tool, registry: Registry) -> None:
    tool.refuse(
        f"models:/{registry.name}/1", "SpecInvalid", "models:/ is looked up in MLflow: set tracking", tracking=None
    )


def test_an_address_that_is_no_mlflow_is_told(tool: Tool, minio: Store) -> None:
    for status, content in ((200, b"<html>Welcome</html>"), (200, b"[]"), (200, b"{}"), (404, b"<html>")):
        with answer_always(status, content) as url:
            tool.tracking_uri = url
            tool.refuse("models:/photos/1", "ModelUnreachable", f"what answers at {url}", "is no MLflow server")
    with answer_always(200, b"x" * (2**20 + 2**17)) as url:
        tool.tracking_uri = url
        tool.refuse("models:/photos@champion", "ModelUnreachable", "is no MLflow server")


@pytest.mark.parametrize("status", [401, 403])
def test_credentials_that_mlflow_refuses_are_told_and_never_shown(tool: Tool, status: int) -> None:
    tool.environment = credentials() | {"MLFLOW_TRACKING_USERNAME": "me", "MLFLOW_TRACKING_PASSWORD": "passw0rd"}
    with answer_always(status, b"no") as url:
        tool.tracking_uri = url
        tool.refuse("models:/photos/1", "ModelUnreachable", f"MLflow answered {status}", "tracking.secret")
    assert "passw0rd" not in tool.text


@pytest.mark.parametrize(
    ("environment", "wanted"),
    [
        ({"MLFLOW_TRACKING_TOKEN": "t0ken"}, "Bearer t0ken"),
        ({"MLFLOW_TRACKING_USERNAME": "me", "MLFLOW_TRACKING_PASSWORD": "pass"}, "Basic bWU6cGFzcw=="),
        ({}, None),
    ],
)
def test_mlflow_is_shown_the_credentials_of_its_own_variables(
    tool: Tool, environment: dict[str, str], wanted: str | None
) -> None:
    tool.environment = environment
    seen: list[str | None] = []
    with answer_always(404, b"{}", seen) as url:
        tool.tracking_uri = url
        tool.fetch("models:/photos/1")
    assert seen == [wanted]


def test_a_registry_that_is_away_is_retried(tool: Tool, registry: Registry, mlflow: Store) -> None:
    uri = registry.register({"model.onnx": build_model(), "MLmodel": describe()})
    gate = Gate(mlflow.port)
    tool.tracking_uri = gate.url
    tool.expect_retries(uri, gate, "the connection was refused")
    with answer_always(503, b"{}") as url:
        tool.tracking_uri = url
        tool.refuse(uri, "ModelUnreachable", "MLflow answered 503", retry_seconds=1.5)


@contextmanager
def answer_always(status: int, content: bytes, seen: list[str | None] | None = None) -> Iterator[str]:
    """Run a server that answers everything alike; note the credentials that it is shown."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if seen is not None:
                seen.append(self.headers["Authorization"])
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - http.server's name
            pass

    class QuietServer(ThreadingHTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            """A client that takes no more goes away: that is what the tests are about."""

    with QuietServer(("127.0.0.1", 0), Handler) as listener:
        thread = threading.Thread(target=listener.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{listener.server_address[1]}"
        listener.shutdown()
        thread.join()
