"""Spans over OTLP: what a real collector gets of requests, and that requests don't depend on it."""

import base64
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tests.integration.server.collector import SERVER, Collector, collecting, read_attributes
from tests.integration.server.conftest import Start
from tests.integration.server.process import Server
from tests.tiny_model import make_image, write_document

PREDICT = "/api/v1/predict"
INFER = "/v2/models/{name}/infer"
RED = make_image("red")
SOON = {"OTEL_BSP_SCHEDULE_DELAY": "20"}
NEVER = {"OTEL_BSP_SCHEDULE_DELAY": "3600000"}
TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
API_KEY = "sesame-4711"
ONE = ["read", "queue", "decode", "infer"]


def name_endpoint(collector: Collector, **more: str) -> dict[str, str]:
    return {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, **SOON, **more}


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as one:
        yield one


@pytest.fixture(scope="module")
def collected() -> Iterator[Collector]:
    with collecting() as one:
        yield one


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory, collected: Collector) -> Iterator[Server]:
    """A server whose requests many tests look at."""
    document = write_document(tmp_path_factory.mktemp("traced"))
    environment = name_endpoint(collected, CLASSIFIER_ROOT_PATH="/photos")
    server = Server(document, "--pod=photos-1", "--namespace=team-a", **environment).wait_until_ready()
    yield server
    server.kill()


@pytest.fixture
def client(traced: Server) -> Iterator[httpx2.Client]:
    with traced.client() as client:
        yield client


def infer(count: int) -> dict[str, Any]:
    data = [base64.b64encode(RED).decode()] * count
    return {"json": {"inputs": [{"name": "image", "datatype": "BYTES", "shape": [count], "data": data}]}}


@pytest.mark.parametrize(
    ("path", "sent", "route", "stages"),
    [
        (PREDICT, {"content": RED}, PREDICT, ONE),
        (f"/photos{PREDICT}", {"content": RED}, PREDICT, ONE),
        (PREDICT, {"files": [("file", RED), ("file", RED)]}, PREDICT, [*ONE, "decode", "infer"]),
        ("/", {"content": RED}, "/", ONE),
        ("/v2/models/colours/infer", infer(1), INFER, ONE),
        ("/v2/models/colours/infer", infer(2), INFER, [*ONE, "decode", "infer"]),
    ],
)
def test_a_prediction_is_a_span_with_one_for_each_stage(
    client: httpx2.Client, collected: Collector, path: str, sent: dict[str, Any], route: str, stages: list[str]
) -> None:
    answer = client.post(path, **sent)
    assert answer.status_code == 200, answer.text
    request, *children = collected.wait_for(answer.headers["X-Request-Id"])
    assert (request.name, request.kind, request.parent_span_id) == (f"POST {route}", SERVER, b"")
    assert request.status.code == Status.STATUS_CODE_UNSET
    assert (
        read_attributes(request.attributes).items()
        >= {
            "http.request.method": "POST",
            "http.route": route,
            "http.response.status_code": 200,
            "url.path": path,
            "url.scheme": "http",
            "server.address": "127.0.0.1",
            "server.port": client.base_url.port,
            "network.protocol.version": "1.1",
        }.items()
    )
    assert [child.name for child in children] == stages
    assert {child.trace_id for child in children} == {request.trace_id}
    assert_nested(request, children)


def assert_nested(request: Span, children: list[Span]) -> None:
    """One after the other, and none before or after the whole."""
    at = request.start_time_unix_nano
    for child in children:
        # Each is rounded to a nanosecond by itself.
        assert at <= child.start_time_unix_nano + 2, child.name
        assert child.end_time_unix_nano >= child.start_time_unix_nano
        at = child.end_time_unix_nano
    assert at <= request.end_time_unix_nano


def test_stages_last_as_long_as_the_answer_says(client: httpx2.Client, collected: Collector) -> None:
    sent = time.time_ns()
    told = client.post(PREDICT, content=RED).json()
    request, *children = collected.wait_for(told["request_id"])
    assert sent <= request.start_time_unix_nano <= request.end_time_unix_nano <= time.time_ns()
    lasted = {child.name: (child.end_time_unix_nano - child.start_time_unix_nano) / 1e6 for child in children}
    for stage, milliseconds in told["milliseconds"].items():
        assert lasted[stage] == pytest.approx(milliseconds, abs=0.001)
    (decode,) = [child for child in children if child.name == "decode"]
    image = {"classifier.image.format": "png", "classifier.image.width": 16, "classifier.image.height": 16}
    assert read_attributes(decode.attributes) == image


@pytest.mark.parametrize("flags", ["01", "03"])
def test_a_span_goes_on_a_trace_that_is_sampled(
    traced: Server, client: httpx2.Client, collected: Collector, flags: str
) -> None:
    answer = client.post(PREDICT, content=RED, headers={"traceparent": f"00-{TRACE}-{CALLER}-{flags}"})
    request, *children = collected.wait_for(answer.json()["request_id"])
    assert (request.trace_id.hex(), request.parent_span_id.hex()) == (TRACE, CALLER)
    assert len(children) == len(ONE)
    assert answer.headers["traceparent"] == f"00-{TRACE}-{request.span_id.hex()}-01"
    line = traced.wait_for_request(request_id=answer.json()["request_id"])
    assert (line["trace_id"], line["span_id"]) == (TRACE, request.span_id.hex())


def test_a_trace_that_is_not_sampled_is_carried_on_without_a_span(client: httpx2.Client, collected: Collector) -> None:
    trace = TRACE[::-1]
    answer = client.post(PREDICT, content=RED, headers={"traceparent": f"00-{trace}-{CALLER}-00"})
    assert answer.headers["traceparent"].split("-")[1::2] == [trace, "00"]
    collected.wait_for(client.post(PREDICT, content=RED).json()["request_id"])
    assert trace not in {span.trace_id.hex() for span in collected.spans}


def test_without_a_trace_one_begins(traced: Server, client: httpx2.Client, collected: Collector) -> None:
    answer = client.post(PREDICT, content=RED)
    request, *_ = collected.wait_for(answer.json()["request_id"])
    assert answer.headers["traceparent"] == f"00-{request.trace_id.hex()}-{request.span_id.hex()}-01"
    assert traced.wait_for_request(request_id=answer.json()["request_id"])["trace_id"] == request.trace_id.hex()


@pytest.mark.parametrize(
    ("method", "path", "status", "name", "problem", "stages"),
    [
        ("POST", PREDICT, 400, f"POST {PREDICT}", "not-an-image", ["read", "queue"]),
        ("PUT", PREDICT, 405, f"PUT {PREDICT}", "method-not-allowed", []),
        ("GET", "/nothing", 404, "GET", "no-such-route", []),
        ("PURGE", "/nothing", 404, "HTTP", "no-such-route", []),
        ("GET", "/v2/models/colours/versions/2", 404, "GET /v2/models/{name}/versions/{version}", "no-such-model", []),
        ("GET", "/v2/models/other", 404, "GET /v2/models/{name}", "no-such-model", []),
        ("GET", "/api/v1/health", 200, "GET /api/v1/health", None, []),
        ("HEAD", "/docs", 200, "HEAD /docs", None, []),
    ],
)
def test_other_requests_are_spans_too(
    client: httpx2.Client,
    collected: Collector,
    method: str,
    path: str,
    status: int,
    name: str,
    problem: str | None,
    stages: list[str],
) -> None:
    answer = client.request(method, path, content=b"hello" if method == "POST" else None)
    request, *children = collected.wait_for(answer.headers["X-Request-Id"])
    attributes = read_attributes(request.attributes)
    assert (request.name, [child.name for child in children]) == (name, stages)
    assert (attributes["http.response.status_code"], attributes.get("classifier.problem")) == (status, problem)
    assert "error.type" not in attributes  # of servers' spans, 5xx alone is an error
    assert request.status.code == Status.STATUS_CODE_UNSET


def test_what_the_server_fails_at_is_an_error(start: Start, collector: Collector) -> None:
    # A port that answers nothing: the model never comes.
    model = {"uri": f"https://{collector.url.removeprefix('http://')}/model.onnx", "labels": {"inline": ["a", "b"]}}
    server = start(environment=name_endpoint(collector), model=model)
    server.wait_for('"event": "listening"')
    with server.client() as client:
        answer = client.post(PREDICT, content=RED)
    (request,) = collector.wait_for(answer.json()["request_id"])
    assert request.status.code == Status.STATUS_CODE_ERROR
    assert read_attributes(request.attributes)["error.type"] == "not-ready"


def test_probes_are_no_spans(client: httpx2.Client, collected: Collector) -> None:
    for path in ("/healthz", "/photos/readyz", "/metrics", "/v2/health/live"):
        assert client.get(path).status_code == 200
    collected.wait_for(client.post(PREDICT, content=RED).json()["request_id"])
    paths = {read_attributes(span.attributes).get("url.path") for span in collected.spans}
    assert not {path for path in paths if path and path.endswith(("/healthz", "/readyz", "/metrics", "/health/live"))}


def test_spans_say_whose_they_are(client: httpx2.Client, collected: Collector) -> None:
    collected.wait_for(client.post(PREDICT, content=RED).json()["request_id"])
    wanted = {
        "service.name": "colours",
        "service.instance.id": "photos-1",
        "k8s.pod.name": "photos-1",
        "k8s.namespace.name": "team-a",
    }
    assert collected.resource.items() >= wanted.items()
    assert collected.resource["service.version"]


def test_opentelemetry_s_own_variables_count(start: Start, collector: Collector) -> None:
    environment = {
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{collector.url}/v1/traces",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9",
        "OTEL_SERVICE_NAME": "mine",
        "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment=test,service.instance.id=other",
        "OTEL_TRACES_SAMPLER": "parentbased_always_off",
    }
    server = start(environment={**environment, **SOON}).wait_until_ready()
    with server.client() as client:
        client.post(PREDICT, content=RED)
        answer = client.post(PREDICT, content=RED, headers={"traceparent": f"00-{TRACE}-{CALLER}-01"})
    collector.wait_for(answer.json()["request_id"])
    assert {span.trace_id.hex() for span in collector.spans} == {TRACE}
    wanted = {"service.name": "mine", "deployment.environment": "test", "service.instance.id": "other"}
    assert collector.resource.items() >= wanted.items()


def test_nothing_secret_is_exported(client: httpx2.Client, collected: Collector) -> None:
    headers = {"Authorization": f"Bearer {API_KEY}", "X-API-Key": API_KEY, "Cookie": API_KEY}
    answer = client.post(f"{PREDICT}?token={API_KEY}", content=RED, headers=headers)
    collected.wait_for(answer.json()["request_id"])
    assert not [body for body in collected.bodies if API_KEY.encode() in body]


def test_what_waits_at_sigterm_is_exported(start: Start, collector: Collector) -> None:
    server = start("--drain-seconds=0", environment=name_endpoint(collector, **NEVER)).wait_until_ready()
    with server.client() as client:
        ids = [client.post(PREDICT, content=RED).json()["request_id"] for _ in range(3)]
    assert not collector.asked.is_set()
    server.send(signal.SIGTERM)
    assert server.end() == 0
    for request_id in ids:
        assert len(collector.wait_for(request_id)) == 1 + len(ONE)


# OpenTelemetry would give up in half a minute by itself.
NO_BOUND = """
import threading
from opentelemetry.sdk.trace.export import BatchSpanProcessor

BatchSpanProcessor.shutdown = lambda self: threading.Event().wait()
"""


def test_a_collector_that_hangs_holds_back_neither_answers_nor_the_end(
    start: Start, collector: Collector, tmp_path: Path
) -> None:
    collector.open.clear()
    (tmp_path / "sitecustomize.py").write_text(NO_BOUND)
    environment = name_endpoint(collector, OTEL_EXPORTER_OTLP_TIMEOUT="600", OTEL_BSP_MAX_QUEUE_SIZE="8")
    environment |= {"OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "4", "PYTHONPATH": str(tmp_path)}
    server = start("--drain-seconds=0", environment=environment).wait_until_ready()
    with server.client() as client:
        client.post(PREDICT, content=RED)
        assert collector.asked.wait(120)
        for _ in range(50):
            assert client.post(PREDICT, content=RED).status_code == 200
        assert client.get("/healthz").status_code == 200
    server.send(signal.SIGTERM)
    assert server.end() == 0
    assert "Traceback" not in server.text


def test_a_collector_that_fails_is_told_of_once_and_so_is_its_return(start: Start, collector: Collector) -> None:
    collector.status = 500
    server = start(environment=name_endpoint(collector)).wait_until_ready()
    with server.client() as client:

        def post_until_asked() -> None:
            collector.asked.clear()
            while not collector.asked.is_set():
                assert client.post(PREDICT, content=RED).status_code == 200

        client.post(PREDICT, content=RED)
        server.wait_for("spans can't be exported")
        for _ in range(3):
            post_until_asked()
        collector.status = 200
        last = client.post(PREDICT, content=RED).json()["request_id"]
        server.wait_for("spans are exported again")
    server.kill()
    assert len(collector.wait_for(last)) == 1 + len(ONE)
    assert server.text.count("spans can't be exported") == 1
    assert server.text.count("Failed to export") == 1


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, '"asked": "grpc"'),
        ({"OTEL_BSP_MAX_QUEUE_SIZE": "0"}, "max_queue_size"),
        ({"PYTHONPATH": "{folder}"}, '"missing": "opentelemetry.sdk'),
    ],
)
def test_what_speaks_against_spans_is_one_line_and_stops_no_server(
    start: Start, tmp_path: Path, collector: Collector, environment: dict[str, str], told: str
) -> None:
    # As where the extra is not installed; Python imports this by itself.
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['opentelemetry.sdk'] = None\n")
    given = {name: value.format(folder=tmp_path) for name, value in environment.items()}
    server = start(environment=name_endpoint(collector) | given)
    assert told in server.wait_for("spans are not exported")
    server.wait_until_ready()
    with server.client() as client:
        assert "traceparent" not in client.post(PREDICT, content=RED).headers
    server.send(signal.SIGINT)
    assert server.end() == 0
    assert server.text.count('"level": "warning"') == 1
    assert not collector.asked.is_set()


@pytest.mark.parametrize("wanted", [False, True])
def test_nothing_is_imported_where_no_endpoint_is_named(start: Start, collector: Collector, wanted: bool) -> None:
    environment = {"PYTHONPROFILEIMPORTTIME": "1", **(name_endpoint(collector) if wanted else {})}
    server = start(environment=environment).wait_until_ready()
    with server.client() as client:
        assert client.post(PREDICT, content=RED).status_code == 200
    server.kill()
    assert ("opentelemetry.sdk" in server.text) is wanted
