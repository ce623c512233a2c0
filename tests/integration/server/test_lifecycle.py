"""How a server starts, ends before it was ready, and what it does while it is busy."""

import json
import signal
import socket
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest

from tests.integration.prediction_log.stores import wait_until
from tests.integration.server.conftest import Start
from tests.integration.server.process import WAIT_SECONDS, Server, free_port
from tests.tiny_model import COLOURS, make_image

PREDICT = "/api/v1/predict"
SLOW_IMAGE = make_image("red", (6000, 6000))


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port where connections are taken and nothing is ever said."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.fixture
def loading(start: Start, silent_port: int) -> Server:
    """A server that waits for its model."""
    model = {"uri": f"https://127.0.0.1:{silent_port}/model.onnx", "labels": {"inline": COLOURS}}
    server = start("--drain-seconds=60", model=model)
    server.wait_for('"event": "listening"')
    return server


def test_while_the_model_loads_the_port_is_open_and_says_so(loading: Server) -> None:
    with loading.client() as client:
        assert client.get("/healthz").status_code == 200
        assert client.get("/readyz").status_code == 503
        health = client.get("/api/v1/health")
        assert (health.status_code, health.json()["status"], health.json()["model"]) == (503, "loading", None)
        answer = client.post(PREDICT, content=make_image())
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
        assert answer.json()["type"].endswith("/not-ready")
        assert "classifier_ready 0.0" in client.get("/metrics").text


def test_while_the_model_loads_the_open_inference_protocol_says_so(loading: Server) -> None:
    with loading.client() as client:
        assert client.get("/v2/health/live").json() == {"live": True}
        ready = client.get("/v2/health/ready")
        assert (ready.status_code, ready.json()) == (503, {"ready": False})
        model = "/v2/models/colours"
        answers = [client.get(f"{model}{part}") for part in ("", "/ready", "/config")]
        for answer in (*answers, client.post(f"{model}/infer", json={})):
            assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (503, "not-ready")
        assert client.get(f"{model}/stats").json()["model_stats"][0]["inference_count"] == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_server_that_never_was_ready_ends_without_draining(loading: Server, number: signal.Signals) -> None:
    loading.send(number)
    assert loading.end() == 0


def test_a_port_that_is_taken_is_said_in_one_line(start: Start) -> None:
    with socket.create_server(("127.0.0.1", free_port())) as taken:
        server = start(f"--port={taken.getsockname()[1]}")
        assert server.end() == 1
    assert "address already in use" in server.text
    assert "Traceback" not in server.text


def post_in_thread(server: Server, pool: ThreadPoolExecutor) -> "Future[httpx2.Response]":
    return pool.submit(httpx2.post, f"{server.url}{PREDICT}", content=SLOW_IMAGE, timeout=WAIT_SECONDS)


def test_a_full_queue_refuses_and_the_server_goes_on(start: Start) -> None:
    server = start(limits={"queue": 1}).wait_until_ready()
    with ThreadPoolExecutor(24) as pool:
        answers = [future.result() for future in [post_in_thread(server, pool) for _ in range(24)]]
    assert {answer.status_code for answer in answers} == {200, 429}
    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused[0].headers["Retry-After"] == "1"
    assert refused[0].json()["type"].endswith("/queue-full")
    with server.client() as client:
        assert client.post(PREDICT, content=make_image()).status_code == 200
        text = client.get("/metrics").text
    assert f'classifier_refusals_total{{reason="queue-full"}} {len(refused)}.0' in text


def test_probes_are_answered_while_slow_images_are_decoded(start: Start) -> None:
    server = start(limits={"queue": 100}).wait_until_ready()
    with ThreadPoolExecutor(16) as pool, server.client() as client:
        futures = [post_in_thread(server, pool) for _ in range(16)]
        wait_until(lambda: read_gauge(client, "classifier_queue_length") >= 1, "images to wait")
        probed = 0
        while not all(future.done() for future in futures):
            assert client.get("/healthz").status_code == client.get("/readyz").status_code == 200
            probed += 1
        assert probed > 0
        assert {future.result().status_code for future in futures} == {200}


def read_gauge(client: httpx2.Client, name: str) -> float:
    lines = client.get("/metrics").text.splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(f"{name} "))


@pytest.mark.parametrize(
    ("changes", "reason", "message"),
    [
        ({"topK": 0}, "SpecInvalid", "spec.topK"),
        ({"model_file": b"hello"}, "ModelInvalid", "doesn't load"),
        ({"model": {"uri": "file:absent.onnx", "labels": {"inline": ["a"]}}}, "ModelNotFound", "absent.onnx"),
        ({"runtime": {"device": "cuda"}}, "DeviceUnavailable", "use the gpu image"),
        (
            {"selfTest": [{"label": "red", "image": {"uri": "image://photos:1/absent.jpg"}}]},
            "SelfTestImageNotFound",
            "--images",
        ),
    ],
)
def test_a_start_that_fails_says_why_in_the_termination_log(
    start: Start, tmp_path: Path, changes: dict[str, object], reason: str, message: str
) -> None:
    log = tmp_path / "termination-log"
    log.write_text("what stood there before, which is longer than what is said now " * 20)
    server = start(environment={"CLASSIFIER_TERMINATION_LOG": str(log)}, **changes)
    assert server.end() == 1
    note = json.loads(log.read_text())
    assert note["reason"] == reason
    assert message in note["message"]
    assert f"{reason}: {note['message']}" in server.text
    assert "Traceback" not in server.text


def test_without_a_termination_log_none_is_made(start: Start, tmp_path: Path) -> None:
    log = tmp_path / "termination-log"
    server = start(model_file=b"hello", environment={"CLASSIFIER_TERMINATION_LOG": str(log)})
    assert server.end() == 1
    assert not log.exists()
    assert "ModelInvalid: " in server.text


def test_files_that_were_brought_are_served_whatever_their_addresses(start: Start, tmp_path: Path) -> None:
    (tmp_path / "labels").write_text("a\nb\nc\n")
    (tmp_path / "selftest-0").write_bytes(make_image("blue"))
    server = start(
        f"--files={tmp_path}",
        model={"uri": "image://models/colours:1/model.onnx", "labels": {"uri": "https://example.org/labels"}},
        selfTest=[{"label": "c", "image": {"uri": "image://models/colours:1/blue.png"}}],
    ).wait_until_ready()
    with server.client() as client:
        assert client.post(PREDICT, content=make_image("green")).json()["predictions"][0]["label"] == "b"


def test_files_of_images_are_found_in_a_folder(start: Start, tmp_path: Path) -> None:
    images = tmp_path / "images"
    folder = images / "models/colours:1/model"
    folder.mkdir(parents=True)
    (folder / "labels.txt").write_text('["a", "b", "c"]')
    (folder / "model.onnx").symlink_to(tmp_path / "model.onnx")
    model = {
        "uri": "image://models/colours:1/model/model.onnx",
        "labels": {"uri": "image://models/colours:1/model/labels.txt"},
    }
    server = start(f"--images={images}", model=model).wait_until_ready()
    with server.client() as client:
        assert client.post(PREDICT, content=make_image("green")).json()["predictions"][0]["label"] == "b"


def test_nothing_is_reported_to_the_maker_of_onnx_runtime(start: Start, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    # With CI set it would keep quiet by itself.
    server = start(environment={"HOME": str(home), "XDG_CACHE_HOME": str(home), "CI": ""}).wait_until_ready()
    server.send(signal.SIGINT)
    assert server.end() == 0
    assert list(home.iterdir()) == []
