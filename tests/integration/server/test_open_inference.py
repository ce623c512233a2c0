"""The Open Inference Protocol as tritonclient speaks it, and what it says to what is wrong."""

import base64
import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import psutil
import pytest
from pydantic import BaseModel
from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput, InferResult
from tritonclient.utils import InferenceServerException

from classifier_inference.http.open_inference import infer_schemas as schemas
from classifier_inference.log.spool.windows import list_open, read_records
from tests.integration.server.conftest import Start
from tests.integration.server.kserve_process import ask_by_kserve
from tests.integration.server.process import WAIT_SECONDS, Server, free_port
from tests.integration.server.test_bad_requests import TRUNCATED_JPEG, png_header
from tests.tiny_model import COLOUR_CODES, COLOURS, SIDE, make_image

MODEL = "colours"
INFER = f"/v2/models/{MODEL}/infer"
CERTAIN = np.exp([10, 0, 0]) / np.exp([10, 0, 0]).sum()


@pytest.fixture
def triton(server: Server) -> Iterator[InferenceServerClient]:
    with InferenceServerClient(f"127.0.0.1:{server.port}", network_timeout=WAIT_SECONDS) as client:
        yield client


def image_input(*contents: bytes, binary: bool = True) -> InferInput:
    values = [content if binary else base64.b64encode(content) for content in contents]
    tensor = InferInput("image", [len(values)], "BYTES")
    return tensor.set_data_from_numpy(np.array(values, np.object_), binary_data=binary)


def labels(result: InferResult) -> list[str]:
    scores = result.as_numpy("scores")
    assert scores is not None
    assert scores.dtype == np.float32
    return [COLOURS[index] for index in scores.argmax(axis=1)]


def ask(client: httpx2.Client, tensor: dict[str, Any], **more: Any) -> httpx2.Response:
    return client.post(INFER, json={"inputs": [{"name": "image", **tensor}], **more})


def expect(answer: httpx2.Response, status: int, slug: str, text: str = "") -> None:
    problem = answer.json()
    assert (answer.status_code, problem["type"].rpartition("/")[2]) == (status, slug), problem
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert problem["error"] == f"{problem['title']}: {problem['detail']}"
    assert text in problem["detail"]


def test_tritonclient_finds_server_and_model(triton: InferenceServerClient) -> None:
    assert triton.is_server_live()
    assert triton.is_server_ready()
    for version in ("", "1"):
        assert triton.is_model_ready(MODEL, version)
        metadata = triton.get_model_metadata(MODEL, version)
        assert metadata["versions"] == ["1"]
        assert metadata["inputs"] == [{"name": "image", "datatype": "BYTES", "shape": [-1]}]
        assert metadata["outputs"] == [{"name": "scores", "datatype": "FP32", "shape": [-1, 3]}]
        assert triton.get_model_config(MODEL, version)["max_batch_size"] == 16
    assert "binary_tensor_data" in triton.get_server_metadata()["extensions"]
    assert not triton.is_model_ready("other")
    assert not triton.is_model_ready(MODEL, "2")
    with pytest.raises(InferenceServerException, match=r"There is no such model: served is colours, version 1"):
        triton.get_model_metadata("other")


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("version", ["", "1"])
def test_tritonclient_infers_from_encoded_images(triton: InferenceServerClient, binary: bool, version: str) -> None:
    tensor = image_input(make_image("blue"), make_image(COLOUR_CODES["red"], kind="JPEG"), binary=binary)
    output = InferRequestedOutput("scores", binary_data=binary)
    result = triton.infer(MODEL, [tensor], version, [output], request_id="my id")
    assert labels(result) == ["blue", "red"]
    response = result.get_response()
    assert (response["id"], response["model_name"], response["model_version"]) == ("my id", MODEL, "1")
    assert len(response["parameters"]["request_ids"].split(",")) == 2


def test_tritonclient_gets_the_scores_that_our_own_route_gives(
    triton: InferenceServerClient, client: httpx2.Client
) -> None:
    image = make_image("#c06030", size=(37, 23))
    result = triton.infer(MODEL, [image_input(image)])
    wanted = client.post("/api/v1/predict", content=image).json()["predictions"]
    scores = result.as_numpy("scores")
    assert scores is not None
    assert scores[0][[one["class_id"] for one in wanted]] == pytest.approx([one["confidence"] for one in wanted])


@pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
def test_tritonclient_compresses_both_ways(triton: InferenceServerClient, algorithm: str) -> None:
    result = triton.infer(
        MODEL,
        [image_input(*[make_image("blue")] * 16)],
        outputs=[InferRequestedOutput("scores", binary_data=False)],
        request_compression_algorithm=algorithm,
        response_compression_algorithm=algorithm,
    )
    assert labels(result) == ["blue"] * 16


@pytest.mark.parametrize(("encoding", "unfold"), [("gzip", gzip.decompress), ("deflate", zlib.decompress)])
def test_answers_are_compressed_for_who_asks(client: httpx2.Client, encoding: str, unfold: Any) -> None:
    texts = [base64.b64encode(make_image()).decode()] * 16
    body = {"inputs": [{"name": "image", "datatype": "BYTES", "shape": [16], "data": texts}]}
    with client.stream("POST", INFER, json=body, headers={"Accept-Encoding": encoding}) as answer:
        raw = b"".join(answer.iter_raw())
    assert answer.headers["Content-Encoding"] == encoding
    assert json.loads(unfold(raw))["outputs"][0]["shape"] == [16, 3]


@pytest.mark.parametrize("binary", [True, False])
def test_tritonclient_infers_from_pixels_of_any_size(triton: InferenceServerClient, binary: bool) -> None:
    pixels = np.zeros((2, 31, 47, 3), np.uint8)
    pixels[0, :, :, 2] = pixels[1, :, :, 1] = 255
    tensor = InferInput("image", list(pixels.shape), "UINT8").set_data_from_numpy(pixels, binary_data=binary)
    assert labels(triton.infer(MODEL, [tensor])) == ["blue", "green"]


@pytest.mark.parametrize("binary", [True, False])
def test_tritonclient_infers_from_what_the_model_itself_takes(triton: InferenceServerClient, binary: bool) -> None:
    values = np.zeros((2, 3, SIDE, SIDE), np.float32)
    values[0, 0] = values[1, 2] = 1
    tensor = InferInput("pixels", list(values.shape), "FP32").set_data_from_numpy(values, binary_data=binary)
    result = triton.infer(MODEL, [tensor])
    assert labels(result) == ["red", "blue"]
    scores = result.as_numpy("scores")
    assert scores is not None
    assert scores[0] == pytest.approx(CERTAIN)


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize(("count", "named"), [(1, 1), (2, 2), (100, 3)])
def test_tritonclient_gets_the_best_classes(
    triton: InferenceServerClient, binary: bool, count: int, named: int
) -> None:
    output = InferRequestedOutput("scores", binary_data=binary, class_count=count)
    result = triton.infer(MODEL, [image_input(make_image("red"), make_image("blue"))], outputs=[output])
    classes = result.as_numpy("scores")
    assert classes is not None
    assert classes.shape == (2, named)
    texts = [text.decode() if isinstance(text, bytes) else text for text in classes[:, 0]]
    assert texts == [f"{CERTAIN[0]:f}:0:red", f"{CERTAIN[0]:f}:2:blue"]


def test_tritonclient_is_told_what_is_wrong_with_which_image(triton: InferenceServerClient) -> None:
    with pytest.raises(InferenceServerException, match="image 1: the image breaks off") as caught:
        triton.infer(MODEL, [image_input(make_image(), TRUNCATED_JPEG)])
    assert caught.value.status() == "400"


def test_kserve_client_works_unchanged(server: Server, tmp_path: Path) -> None:
    (tmp_path / "blue.png").write_bytes(make_image("blue"))
    told = ask_by_kserve(server.url, MODEL, tmp_path / "blue.png")
    assert (told["live"], told["ready"], told["model_ready"], told["other_ready"]) == (True, True, True, False)
    for form in ("binary", "json"):
        assert told[form]["shape"] == [2, 3]
        assert np.argmax(told[form]["scores"][0]) == 2
    assert told["bad"] == 400


def test_answers_fit_their_schemas(client: httpx2.Client) -> None:
    model = f"/v2/models/{MODEL}"
    routes: dict[str, type[BaseModel]] = {
        "/v2": schemas.ServerMetadata,
        "/v2/health/live": schemas.Live,
        "/v2/health/ready": schemas.Ready,
        model: schemas.ModelMetadata,
        f"{model}/ready": schemas.ModelReady,
        f"{model}/config": schemas.ModelConfig,
        f"{model}/versions/1/stats": schemas.Statistics,
    }
    for path, schema in routes.items():
        schema.model_validate_json(client.get(path).content)
    assert client.get("/v2/health/live").json() == {"live": True}
    assert client.get("/v2/health/ready").json() == {"ready": True}
    text = base64.b64encode(make_image()).decode()
    answer = ask(client, {"datatype": "BYTES", "shape": [1], "data": [text]})
    schemas.InferAnswer.model_validate_json(answer.content)
    assert answer.json()["parameters"]["request_ids"] == answer.headers["X-Request-Id"]


BLUE = base64.b64encode(make_image("blue")).decode()
BYTES = {"datatype": "BYTES", "shape": [1], "data": [BLUE]}


@pytest.mark.parametrize(
    ("tensor", "status", "slug", "text"),
    [
        ({"datatype": "BYTES", "shape": [2], "data": [BLUE]}, 422, "invalid-input", "1 elements"),
        ({"datatype": "BYTES", "shape": [1], "data": ["!"]}, 422, "invalid-input", "element 0 is not base64"),
        ({"datatype": "BYTES", "shape": [1], "data": [""]}, 400, "empty-body", "image 0"),
        ({"datatype": "BYTES", "shape": [1]}, 422, "invalid-input", "element 0 is no string"),
        ({"datatype": "BYTES", "shape": [0], "data": []}, 422, "invalid-input", "greater than or equal to 1"),
        ({"datatype": "BYTES", "shape": [], "data": []}, 422, "invalid-input", "inputs.0.shape"),
        ({"datatype": "BYTES", "shape": [1, 2], "data": [BLUE, BLUE]}, 422, "invalid-input", "has the shape [n]"),
        ({"datatype": "BYTES", "shape": [17], "data": [BLUE] * 17}, 413, "too-many-images", "limits.batch"),
        ({"datatype": "INT64", "shape": [1], "data": [1]}, 422, "invalid-input", "datatype"),
        ({"datatype": "UINT8", "shape": [1, 3], "data": [1, 2, 3]}, 422, "invalid-input", "[n, height, width, 3]"),
        ({"datatype": "UINT8", "shape": [1, 0, 1, 3], "data": []}, 422, "invalid-input", "greater than or equal to 1"),
        ({"datatype": "FP32", "shape": [1], "data": [1]}, 422, "invalid-input", "pixels of FP32"),
        ({**BYTES, "name": "other"}, 422, "invalid-input", "the input is other"),
        ({**BYTES, "name": "pixels", "datatype": "FP32"}, 422, "invalid-input", "takes the shape"),
        ({**BYTES, "parameters": {"binary_data_size": 1}}, 422, "invalid-input", "0 bytes follow"),
        ({**BYTES, "parameters": {"shared_memory_region": "a"}}, 422, "invalid-input", "shared memory"),
    ],
)
def test_a_tensor_that_does_not_fit_has_its_problem(
    client: httpx2.Client, tensor: dict[str, Any], status: int, slug: str, text: str
) -> None:
    expect(ask(client, tensor), status, slug, text)


@pytest.mark.parametrize(
    ("body", "headers", "status", "slug"),
    [
        (b"", {}, 422, "malformed-json"),
        (b"{", {}, 422, "malformed-json"),
        (b"[]", {}, 422, "invalid-input"),
        (b"{}", {}, 422, "invalid-input"),
        (b'{"inputs": []}', {}, 422, "invalid-input"),
        (b"[" * 100_000, {}, 422, "malformed-json"),
        (b"[" * 2_100_000, {}, 413, "too-many-bytes"),
        (b"{}", {"Inference-Header-Content-Length": "3"}, 422, "invalid-input"),
        (b"{}", {"Inference-Header-Content-Length": "-1"}, 422, "invalid-input"),
        (b"{}", {"Content-Encoding": "gzip"}, 422, "malformed-encoding"),
        (b"{}", {"Content-Encoding": "br"}, 415, "unsupported-encoding"),
        (gzip.compress(b"{}", mtime=0)[:-3], {"Content-Encoding": "gzip"}, 422, "malformed-encoding"),
    ],
)
def test_a_request_that_is_none_has_its_problem(
    client: httpx2.Client, body: bytes, headers: dict[str, str], status: int, slug: str
) -> None:
    expect(client.post(INFER, content=body, headers=headers), status, slug)


@pytest.mark.parametrize(
    "outputs",
    [
        [{"name": "other"}],
        [{"name": "scores"}, {"name": "scores"}],
        [{"name": "scores", "parameters": {"classification": 0}}],
        [{"name": "scores", "parameters": {"shared_memory_region": "a"}}],
    ],
)
def test_an_output_that_there_is_not_has_its_problem(client: httpx2.Client, outputs: list[dict[str, Any]]) -> None:
    expect(ask(client, BYTES, outputs=outputs), 422, "invalid-input", "")


def test_values_that_are_no_numbers_are_refused(client: httpx2.Client) -> None:
    values = np.full((1, 3, SIDE, SIDE), np.nan, np.float32).tobytes()
    tensor = {"name": "pixels", "datatype": "FP32", "shape": [1, 3, SIDE, SIDE]}
    header = json.dumps({"inputs": [{**tensor, "parameters": {"binary_data_size": len(values)}}]}).encode()
    headers = {"Inference-Header-Content-Length": str(len(header))}
    expect(client.post(INFER, content=header + values, headers=headers), 422, "invalid-input", "not finite")
    huge = np.full((1, 3, SIDE, SIDE), 3e38, np.float32).tobytes()
    expect(client.post(INFER, content=header + huge, headers=headers), 422, "invalid-input", "not finite")


def test_too_many_pixels_are_judged_before_they_are_decoded(client: httpx2.Client) -> None:
    text = base64.b64encode(png_header(100_000, 100_000)).decode()
    expect(ask(client, {**BYTES, "data": [text]}), 413, "too-many-pixels", "image 0: ")


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_a_compressed_bomb_is_refused_with_flat_memory(server: Server, client: httpx2.Client, encoding: str) -> None:
    deflater = zlib.compressobj(9, wbits=31 if encoding == "gzip" else 15)
    bomb = b"".join([*(deflater.compress(b" " * 2**20) for _ in range(512)), deflater.flush()])
    process = psutil.Process(server.process.pid)
    client.post(INFER, content=bomb, headers={"Content-Encoding": encoding})
    before = process.memory_info().rss
    for _ in range(5):
        expect(client.post(INFER, content=bomb, headers={"Content-Encoding": encoding}), 413, "too-many-bytes")
    assert process.memory_info().rss - before < 20 * 2**20


def test_each_image_is_logged_as_a_prediction_and_none_of_a_refused_request(start: Start, tmp_path: Path) -> None:
    tracking = {"mode": "External", "uri": f"http://127.0.0.1:{free_port()}"}
    spool = tmp_path / "spool"
    server = start(f"--files={tmp_path}", f"--spool={spool}", environment={"POD_NAME": "pod"}, tracking=tracking)
    with server.wait_until_ready().client() as client:
        expect(ask(client, {**BYTES, "shape": [2], "data": [BLUE, "aGk="]}), 400, "not-an-image", "image 1: ")
        answer = ask(client, {**BYTES, "shape": [2], "data": [BLUE, base64.b64encode(make_image()).decode()]})
        values = np.zeros((1, 3, SIDE, SIDE)).ravel().tolist()
        ask(client, {"name": "pixels", "datatype": "FP32", "shape": [1, 3, SIDE, SIDE], "data": values})
        line = server.wait_for_request(request_id=answer.headers["X-Request-Id"])
    assert (line["path"], line["images"]) == (INFER, 2)
    records = [record for path in list_open(spool / "pod") for record in read_records(path)]
    assert [record.request_id for record in records[:2]] == answer.json()["parameters"]["request_ids"].split(",")
    assert [record.predictions[0].label for record in records[:2]] == ["blue", "red"]
    assert [(record.image.format, record.image.logged) for record in records] == [
        ("png", True), ("png", True), ("tensor", False)
    ]  # fmt: skip
