"""Asking a server what is on an image, and how it is doing."""

import hashlib
import re
import uuid
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
from PIL import Image

from classifier_inference.http.probes import PROBE_PATHS
from classifier_inference.http.problem import Kind
from classifier_inference.http.v1.schemas import Health, InferenceResponse
from classifier_inference.images.resize import METHOD
from tests.integration.server.process import Server
from tests.tiny_model import build_model, encode, make_image

PREDICT = "/api/v1/predict"
LOG_PREDICTION = "/api/v1/mlflow/log-prediction"
INFER = "/v2/models/{name}/infer"
RUN = "/api/v1/mlflow/runs/{run_id}"
SHA256 = hashlib.sha256(build_model()).hexdigest()


def label(answer: httpx2.Response) -> str:
    assert answer.status_code == 200, answer.text
    return InferenceResponse.model_validate_json(answer.content).predictions[0].label


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_an_image_as_the_body_is_classified(client: httpx2.Client, kind: str) -> None:
    assert label(client.post(PREDICT, content=make_image("blue", kind=kind))) == "blue"


def test_an_image_as_a_form_field_is_classified(client: httpx2.Client) -> None:
    files = {"file": ("any name.jpg", make_image("blue"), "image/jpeg")}
    assert label(client.post(PREDICT, files=files, data={"comment": "hello"})) == "blue"


@pytest.mark.parametrize("path", ["sub/blue.jpg", "./sub/../sub/blue.jpg", "{root}/sub/blue.jpg"])
def test_an_image_by_its_path_is_classified(client: httpx2.Client, image_root: Path, path: str) -> None:
    assert label(client.post(PREDICT, json={"image_path": path.format(root=image_root)})) == "blue"


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "multipart/form-data", ""])
def test_the_first_bytes_decide_what_a_body_is(client: httpx2.Client, content_type: str) -> None:
    headers = {"Content-Type": content_type}
    assert label(client.post(PREDICT, content=make_image("blue"), headers=headers)) == "blue"
    assert label(client.post(PREDICT, content=b'{"image_path": "sub/blue.jpg"}', headers=headers)) == "blue"


def test_a_body_in_chunks_is_classified(client: httpx2.Client) -> None:
    image = make_image("blue")
    assert label(client.post(PREDICT, content=iter([image[:10], image[10:]]))) == "blue"


@pytest.mark.parametrize(
    "content",
    [
        encode(Image.new("CMYK", (9, 9), (0, 255, 255, 0)), "TIFF"),
        encode(Image.new("CMYK", (9, 9), (0, 255, 255, 0)), "JPEG"),
        encode(Image.new("RGB", (9, 9), "red").quantize(4)),
        encode(Image.new("RGBA", (9, 9), (255, 0, 0, 200))),
        encode(Image.new("L", (9, 9), 90)),
        encode(Image.new("LA", (9, 9), (90, 90))),
        encode(Image.new("1", (9, 9), 1)),
        encode(Image.fromarray(np.full((9, 9), 40_000, np.uint16))),
    ],
    ids=["CMYK TIFF", "CMYK JPEG", "palette", "alpha", "grey", "grey with alpha", "1 bit", "16 bit"],
)
def test_images_of_every_kind_are_classified(client: httpx2.Client, content: bytes) -> None:
    # Equal channels are a tie, which the first class wins.
    assert label(client.post(PREDICT, content=content)) == "red"


def test_the_answer_says_which_model_and_how_long(client: httpx2.Client) -> None:
    response = client.post(PREDICT, content=make_image("red"))
    answer = InferenceResponse.model_validate_json(response.content)
    assert uuid.UUID(answer.request_id).version == 7
    assert response.headers["X-Request-Id"] == answer.request_id
    assert answer.model.model_dump() == {"name": "colours", "version": "1", "sha256": SHA256}
    assert [(found.label, found.class_id) for found in answer.predictions] == [("red", 0), ("green", 1), ("blue", 2)]
    assert sum(found.confidence for found in answer.predictions) == pytest.approx(1)
    assert answer.milliseconds.decode > 0
    assert answer.milliseconds.infer > 0
    assert answer.milliseconds.queue >= 0


def test_a_path_prefix_may_be_there_or_not(client: httpx2.Client) -> None:
    # The prefix is /api here: what names a route as it is must not lose it.
    assert label(client.post(f"/api{PREDICT}", content=make_image("blue"))) == "blue"
    assert client.get("/api/readyz").text == client.get("/readyz").text == "ok"
    assert client.get("/api/docs").status_code == client.get("/docs").status_code == 200
    assert client.get("/apihealthz").status_code == 404


def test_health_says_what_there_is(client: httpx2.Client) -> None:
    response = client.get("/api/v1/health")
    health = Health.model_validate_json(response.content)
    assert (response.status_code, health.status) == (200, "serving")
    assert health.model is not None
    assert (health.model.name, health.model.sha256) == ("colours", SHA256)
    assert health.model.load_seconds > 0
    assert health.cpu.count >= 1
    for usage in (health.memory, health.disk):
        assert 0 < usage.used_bytes < usage.total_bytes
    assert (health.gpu.used, health.gpu.reason) == (False, "runtime.device is cpu")
    assert health.resize == METHOD


def test_metrics_count_answers_and_refusals(client: httpx2.Client) -> None:
    before = client.get("/metrics").text
    client.post(PREDICT, content=make_image("red"))
    client.post(PREDICT, content=b"hello")
    after = client.get("/metrics").text
    for series in (
        'classifier_requests_total{outcome="answered"}',
        'classifier_requests_total{outcome="refused"}',
        'classifier_refusals_total{reason="not-an-image"}',
        *(
            f'classifier_request_duration_seconds_count{{stage="{stage}"}}'
            for stage in ("read", "queue", "decode", "infer", "total")
        ),
    ):
        assert read_value(after, series) == read_value(before, series) + 1, series
    info = f'classifier_model_info{{name="colours",provider="CPUExecutionProvider",sha256="{SHA256}",version="1"}}'
    assert read_value(after, info) == 1
    assert read_value(after, "classifier_requests_in_flight") == read_value(after, "classifier_queue_length") == 0
    assert read_value(after, "classifier_ready") == 1


def read_value(text: str, series: str) -> float:
    return next((float(line.split()[-1]) for line in text.splitlines() if line.startswith(f"{series} ")), 0)


def test_a_request_has_one_line_in_the_log_and_a_probe_none(server: Server, client: httpx2.Client) -> None:
    probes = {prefix + path for prefix in ("", "/api") for path in PROBE_PATHS}
    ids = {client.get(path).headers["X-Request-Id"] for path in probes}
    assert len(ids) == 10
    answer = client.post(PREDICT, content=b"hello")
    line = server.wait_for_request(request_id=answer.json()["request_id"])
    assert (line["status"], line["problem"], line["path"]) == (400, "not-an-image", PREDICT)
    assert not any(request_id in seen for request_id in ids for seen in server.seen)
    client.get("/nothing/healthz")
    assert server.wait_for_request(path="/nothing/healthz")["status"] == 404


def test_every_problem_is_documented_where_it_is_met(client: httpx2.Client) -> None:
    schema: dict[str, Any] = client.get("/openapi.json").json()
    predict, hub, infer = (schema["paths"][path]["post"] for path in (PREDICT, "/", INFER))
    tracking = [schema["paths"][LOG_PREDICTION]["post"], schema["paths"][RUN]["get"]]
    of_runs = {"not-tracked", "no-such-run", "tracking-refused", "tracking-away"}
    of_no_route = {"no-such-route", "method-not-allowed", "malformed-request"}
    of_keys = {"unauthorized"}
    of_infer = {"no-such-model", "unsupported-encoding", "malformed-encoding"}
    of_forms = {"malformed-multipart", "too-many-images"}
    of_paths = {"image-root-unset", "no-such-image", "outside-image-root", "unusable-path"}
    of_paths |= {"address-not-allowed", "image-unreachable", "image-timeout"}
    of_images = {kind.slug for kind in Kind} - of_runs - of_no_route - of_keys - of_infer - of_forms - of_paths
    assert list_problems(predict) == of_images | of_forms | of_paths
    assert list_problems(hub) == of_images
    assert list_problems(infer) == of_images | of_infer | {"too-many-images"}
    assert of_runs == {slug for route in tracking for slug in list_problems(route)} & of_runs
    assert set(predict["requestBody"]["content"]) >= {
        "application/json",
        "multipart/form-data",
        "image/jpeg",
        "image/tiff",
    }
    named = {
        "InferenceInput",
        "InferenceResponse",
        "InferenceResults",
        "IndexedAnswer",
        "IndexedProblem",
        "PredictionResult",
        "Problem",
        "Health",
        "InferRequest",
        "RequestInput",
        "TaskInput",
    }
    named |= {"PredictionLogRequest", "MLflowLogResponse", "MLflowRunResponse"}
    assert named <= set(schema["components"]["schemas"])
    assert resolve(schema, "PredictionLogRequest")["properties"]["predictions"]["maxItems"] == 1000
    assert not {ref for ref in re.findall(r'"#/([^"]+)"', client.get("/openapi.json").text) if not has(schema, ref)}


def has(schema: dict[str, Any], reference: str) -> bool:
    *_, kind, name = reference.split("/")
    return reference == f"components/{kind}/{name}" and name in schema["components"][kind]


def resolve(schema: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = schema["components"]["schemas"][name]
    return found


def list_problems(route: dict[str, Any]) -> set[str]:
    return {slug for answer in route["responses"].values() for slug in read_examples(answer)}


def read_examples(answer: dict[str, Any]) -> list[str]:
    return list(answer["content"].get("application/problem+json", {}).get("examples", {}))
