"""Making runs and finding them, through a server, in a real MLflow."""

import base64
import json
import signal
import socket
import time
import uuid
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import pytest

from classifier_inference.http.mlflow.run_schemas import MLflowLogResponse, MLflowRunResponse
from tests.integration.prediction_log.conftest import Recording
from tests.integration.prediction_log.stores import credentials, wait_until
from tests.integration.prediction_log.windows import write_window
from tests.integration.server.process import Server
from tests.tiny_model import build_document, build_model, make_image

LOG = "/api/v1/mlflow/log-prediction"
RUNS = "/api/v1/mlflow/runs"
IMAGE = make_image("blue")
PREDICTIONS = [["blue", 0.95], ["green", 0.04], ["röd/🐈", 0.01]]
GIVEN = {"image_path": "cat.png", "predictions": PREDICTIONS, "model_version": "1.0.0"}
UNICODE_NAME = "blå katt 猫.png"

StartServer = Callable[..., Server]


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[StartServer]:
    """Start a server that logs to a recording's stores, with images to name by their path."""
    servers: list[Server] = []
    root = tmp_path / "images"
    root.mkdir()
    for name in ("cat.png", UNICODE_NAME, f"{'x' * 251}.png"):
        (root / name).write_bytes(IMAGE)
    (root / "text.txt").write_text("hello")

    def start(recording: Recording, **more: str) -> Server:
        document = tmp_path / "server.json"
        (tmp_path / "model.onnx").write_bytes(build_model())
        content = build_document(
            tmp_path,
            tracking={"mode": "External", "uri": recording.tracking_uri},
            storage={"mode": "External", "endpoint": recording.to_minio.url, "bucket": recording.bucket},
            predictionLog={"experiment": recording.experiment, "window": "1s"},
        )
        document.write_text(json.dumps(content))
        environment = {"POD_NAME": "pod-1", "POD_NAMESPACE": "team-a", "IMAGE_ROOT": str(root), **credentials(), **more}
        arguments = (f"--files={tmp_path}", f"--spool={recording.spool}", "--drain-seconds=0")
        servers.append(Server(document, *arguments, **environment).wait_until_ready())
        return servers[-1]

    yield start
    for server in servers:
        server.kill()


def insist(ask: Callable[[], httpx2.Response]) -> httpx2.Response:
    """Return the first answer that doesn't say that MLflow is late: on a busy machine it is later than it may be."""
    answers: list[httpx2.Response] = []

    def is_told() -> bool:
        answers.append(ask())
        return answers[-1].status_code != 503 or "no answer" not in answers[-1].json()["detail"]

    wait_until(is_told, "MLflow to be in time")
    return answers[-1]


def check(response: httpx2.Response, status: int, slug: str, words: str = "") -> None:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["type"].endswith(f"/{slug}")
    assert words in response.json()["detail"]


@pytest.mark.parametrize("kind", ["recording", "proxied"])
def test_a_prediction_becomes_a_run_at_once_and_is_found_by_both_ids(
    kind: str, request: pytest.FixtureRequest, start_server: StartServer
) -> None:
    recording: Recording = request.getfixturevalue(kind)
    with start_server(recording).client() as client:
        response = insist(lambda: client.post(LOG, json=GIVEN))
        assert response.status_code == 200, response.text
        made = MLflowLogResponse.model_validate_json(response.content)
        (run,) = recording.runs()
        assert (made.run_id, made.status, made.artifact_uri) == (run.run_id, "FINISHED", run.artifact_uri)
        for asked in (made.run_id, made.request_id):
            answer = insist(partial(client.get, f"{RUNS}/{asked}"))
            assert answer.status_code == 200, answer.text
            found = MLflowRunResponse.model_validate_json(answer.content)
            assert (found.state, found.run_id, found.status) == ("logged", run.run_id, "FINISHED")
            assert found.params["model_version"] == "1.0.0"
            assert found.params["preprocess.resize"] == "exact 8, 8"
            assert "model_sha256" not in found.params
            assert found.metrics["confidence/blue"] == 0.95
            assert len(found.metrics) == 3
            assert found.tags["imageclassifier.classifier"] == "colours"
            assert found.artifacts is not None
            paths = sorted(file.path for file in found.artifacts)
            assert paths[0] == "input_images/cat.png"
            assert paths[1].startswith("prediction_results/prediction_")
            assert paths[1].endswith(".txt")
    if kind == "recording":
        assert recording.read(f"{made.artifact_uri}/input_images/cat.png") == IMAGE
        assert b"0.950000  blue" in recording.read(f"{made.artifact_uri}/{paths[1]}")


def test_runs_are_made_and_found_in_stores_behind_an_authority_of_their_own(
    recording: Recording, start_server: StartServer, tmp_path: Path
) -> None:
    ca_file, temporary = recording.go_behind_tls(tmp_path), tmp_path / "tmp"
    temporary.mkdir()
    with start_server(recording, CLASSIFIER_CA_FILE=str(ca_file), TMPDIR=str(temporary)).client() as client:
        made = insist(lambda: client.post(LOG, json=GIVEN))
        assert made.status_code == 200, made.text
        found = insist(lambda: client.get(f"{RUNS}/{made.json()['run_id']}"))
        assert found.json()["status"] == "FINISHED", found.text
    assert not list(temporary.iterdir())  # the authorities lie together in memory
    assert recording.read(f"{made.json()['artifact_uri']}/input_images/cat.png") == IMAGE


def test_an_image_may_come_with_the_request_and_the_served_version_is_the_default(
    recording: Recording, start_server: StartServer
) -> None:
    with start_server(recording).client() as client:
        given = {"image": base64.b64encode(IMAGE).decode(), "predictions": [["a", 1]], "artifact_name": UNICODE_NAME}
        made = insist(lambda: client.post(LOG, json=given)).json()
        assert recording.read(f"{made['artifact_uri']}/input_images/{UNICODE_NAME}") == IMAGE
        (run,) = recording.runs()
        assert run.params["model_version"] == "1"
        assert len(run.params["model_sha256"]) == 64


@pytest.mark.parametrize("name", [UNICODE_NAME, f"{'x' * 251}.png"])
def test_an_image_of_any_name_is_logged(name: str, proxied: Recording, start_server: StartServer) -> None:
    with start_server(proxied).client() as client:
        response = insist(lambda: client.post(LOG, json={**GIVEN, "image_path": name}))
        assert response.status_code == 200, response.text
        found = MLflowRunResponse.model_validate_json(
            insist(lambda: client.get(f"{RUNS}/{response.json()['run_id']}")).content
        )
        assert found.artifacts is not None
        assert len(found.artifacts) == 2


def test_a_logged_prediction_is_pending_until_it_is_shipped_and_then_found_with_its_row(
    recording: Recording, start_server: StartServer
) -> None:
    server = start_server(recording)
    with server.client() as client:
        answers = [client.post("/api/v1/predict", content=make_image(colour)).json() for colour in ("red", "blue")]
        wanted = answers[1]
        pending = MLflowRunResponse.model_validate_json(
            insist(lambda: client.get(f"{RUNS}/{wanted['request_id']}")).content
        )
        assert (pending.state, pending.run_id) == ("pending", None)
        assert pending.prediction is not None
        assert pending.prediction["predictions"][0]["label"] == "blue"
        recording.start()
        wait_until(lambda: client.get(f"{RUNS}/{wanted['request_id']}").json().get("state") == "logged", "the run")
        found = MLflowRunResponse.model_validate_json(
            insist(lambda: client.get(f"{RUNS}/{wanted['request_id']}")).content
        )
        assert found.prediction is not None
        assert (found.prediction["request_id"], found.prediction["label"]) == (wanted["request_id"], "blue")
        assert found.run_id in {run.run_id for run in recording.runs()}
        recording.wait_for_state(lambda state: state.shipped.records == 2)
        health = client.get("/api/v1/health").json()["log"]
        assert (health["tracking"]["ready"], health["storage"]["ready"]) == (True, True)
        assert health["records"] == {"logged": 2, "dropped": 0}
        assert health["recorder"]["shipped_records"] == 2
        assert "classifier_log_shipped_records_total 2.0" in client.get("/metrics").text
    server.send(signal.SIGTERM)
    assert server.end() == 0


@pytest.mark.parametrize("sealed", [True, False])
def test_what_waits_in_another_pod_s_folder_of_a_shared_spool_is_pending(
    recording: Recording, start_server: StartServer, sealed: bool
) -> None:
    window = write_window(recording.spool / "pod-2", int(time.time() * 1000), sealed=sealed)
    with start_server(recording).client() as client:
        found = MLflowRunResponse.model_validate_json(
            insist(lambda: client.get(f"{RUNS}/{window.requests[1]}")).content
        )
    assert found.state == "pending"
    assert found.prediction is not None
    assert found.prediction["request_id"] == window.requests[1]


BAD: dict[str, tuple[dict[str, Any], int, str, str]] = {
    "score over 1": ({"predictions": [["a", 1.5]]}, 422, "invalid-input", "predictions.0.1"),
    "negative score": ({"predictions": [["a", -0.1]]}, 422, "invalid-input", "predictions.0.1"),
    "score as text": ({"predictions": [["a", "0.5"]]}, 422, "invalid-input", "predictions.0.1"),
    "not sorted": ({"predictions": [["a", 0.1], ["b", 0.9]]}, 422, "invalid-input", "sorted"),
    "none": ({"predictions": []}, 422, "invalid-input", "predictions"),
    "10,000": ({"predictions": [["a", 0.0001]] * 10_000}, 422, "invalid-input", "1000"),
    "label empty": ({"predictions": [["", 0.5]]}, 422, "invalid-input", "predictions.0.0"),
    "artifact with ..": ({"artifact_name": "..\\up"}, 422, "invalid-input", "artifact_name"),
    "artifact is ..": ({"artifact_name": ".."}, 422, "invalid-input", "artifact_name"),
    "artifact holds ..": ({"artifact_name": "a..b"}, 422, "invalid-input", ".."),
    "artifact with slash": ({"artifact_name": "a/b.png"}, 422, "invalid-input", "slash"),
    "artifact of 300": ({"artifact_name": "x" * 300}, 422, "invalid-input", "150"),
    "image of 300": ({"image_path": "x" * 300}, 422, "unusable-path", "255"),
    "image outside": ({"image_path": "../model.onnx"}, 403, "outside-image-root", ""),
    "image absent": ({"image_path": "dog.png"}, 404, "no-such-image", ""),
    "no image": ({"image_path": "text.txt"}, 400, "not-an-image", ""),
    "two images": ({"image": "aGVsbG8="}, 422, "invalid-input", "exactly one"),
    "not base64": ({"image_path": None, "image": "%%%"}, 422, "invalid-input", "not base64"),
    "unknown field": ({"labels": []}, 422, "invalid-input", "labels"),
}


def test_bad_requests_are_told_what_is_wrong(recording: Recording, start_server: StartServer) -> None:
    with start_server(recording).client() as client:
        for change, status, slug, words in BAD.values():
            check(client.post(LOG, json={**GIVEN, **change}), status, slug, words)
        check(client.post(LOG, content=b"{"), 422, "malformed-json")
        check(client.post(LOG, content=b"[]"), 422, "invalid-input")
        check(client.post(LOG, content=b'{"image": "' + b"a" * 2**25 + b'"}'), 413, "too-many-bytes")
        assert recording.runs() == []


@pytest.mark.parametrize(
    "run_id",
    [
        "8b681d9c1c97422281bdb3334d938ffb",
        "8036ee84-6cb3-446a-8e9d-91609859f149",
        "hello",
        "..",
        "0" * 31,
        "%2e%2e%2fetc",
    ],
)
def test_unknown_runs_are_not_found(run_id: str, recording: Recording, start_server: StartServer) -> None:
    with start_server(recording).client() as client:
        answer = insist(lambda: client.get(f"{RUNS}/{run_id}"))
        assert answer.status_code == 404
        assert answer.headers["content-type"] == "application/problem+json"
        unknown = "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"
        check(insist(lambda: client.get(f"{RUNS}/{unknown}")), 404, "no-such-run", "no run holds this request")


def test_with_mlflow_away_answers_say_so(recording: Recording, start_server: StartServer) -> None:
    recording.to_mlflow.shut()
    with start_server(recording).client() as client:
        for _ in range(2):
            check_away(lambda: client.get(f"{RUNS}/{uuid.uuid4().hex}"))
            check_away(lambda: client.get(f"{RUNS}/017f22e2-79b0-7cc3-98c4-dc0c0c07398f"))
            check_away(lambda: client.post(LOG, json=GIVEN))
        assert client.post("/api/v1/predict", content=IMAGE).status_code == 200
        recording.to_mlflow.open()
        assert insist(lambda: client.post(LOG, json=GIVEN)).status_code == 200


def test_an_mlflow_that_hangs_is_away(recording: Recording, start_server: StartServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        recording.tracking_uri = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with start_server(recording).client() as client:
            # Which of the two bounds on its first sign of life is over first is chance.
            words = "no answer"
            check_away(lambda: client.get(f"{RUNS}/{uuid.uuid4().hex}"), words)
            check_away(lambda: client.post(LOG, json=GIVEN), words)


def test_an_address_that_answers_something_else_is_told(recording: Recording, start_server: StartServer) -> None:
    recording.tracking_uri = recording.to_minio.url
    with start_server(recording).client() as client:
        check(insist(lambda: client.post(LOG, json=GIVEN)), 503, "tracking-away", "answered 403 <?xml")


def test_with_its_store_away_a_run_is_left_as_failed(recording: Recording, start_server: StartServer) -> None:
    recording.to_minio.shut()
    with start_server(recording).client() as client:
        check(insist(lambda: client.post(LOG, json=GIVEN)), 503, "tracking-away", "can't be connected to")
        (run,) = recording.runs()
        assert run.status == "FAILED"


def test_with_mlflow_gone_half_way_it_is_said_and_the_next_one_is_logged(
    recording: Recording, start_server: StartServer
) -> None:
    with start_server(recording).client() as client:
        recording.to_minio.on_connection = recording.to_mlflow.shut
        response = insist(lambda: client.post(LOG, json=GIVEN))
        check(response, 503, "tracking-away")
        assert int(response.headers["Retry-After"]) > 0
        assert {run.status for run in recording.runs()} == {"RUNNING"}
        assert recording.keys() == []
        recording.to_minio.on_connection = lambda: None
        recording.to_mlflow.open()
        made = insist(lambda: client.post(LOG, json=GIVEN)).json()
        assert {run.run_id: run.status for run in recording.runs()}[made["run_id"]] == "FINISHED"


def check_away(ask: Callable[[], httpx2.Response], words: str = "") -> None:
    response = ask()
    check(response, 503, "tracking-away", words)
    assert int(response.headers["Retry-After"]) > 0


def test_without_tracking_the_routes_say_so(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(build_model())
    document = tmp_path / "server.json"
    document.write_text(json.dumps(build_document(tmp_path)))
    server = Server(document, f"--files={tmp_path}").wait_until_ready()
    try:
        with server.client() as client:
            check(client.post(LOG, json=GIVEN), 404, "not-tracked")
            check(client.get(f"{RUNS}/{uuid.uuid4().hex}"), 404, "not-tracked", "tracking is None")
    finally:
        server.kill()
