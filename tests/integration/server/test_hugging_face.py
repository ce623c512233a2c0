"""POST /, as Hugging Face's InferenceClient asks it."""

import base64
from typing import Any

import httpx2
import numpy as np
import pytest
from huggingface_hub import InferenceClient
from huggingface_hub.errors import HfHubHTTPError

from tests.integration.server.process import WAIT_SECONDS, Server
from tests.tiny_model import make_image

RED = make_image("red")
ENCODED = base64.b64encode(RED).decode()


@pytest.fixture(params=["", "/api"])
def hub(server: Server, request: pytest.FixtureRequest) -> InferenceClient:
    """A client of the server, through the path prefix and without it."""
    return InferenceClient(base_url=f"{server.url}{request.param}", timeout=WAIT_SECONDS)


def test_an_image_has_its_labels_and_scores(hub: InferenceClient) -> None:
    found = hub.image_classification(RED)
    assert [one.label for one in found] == ["red", "green", "blue"]
    assert sum(one.score or 0 for one in found) == pytest.approx(1)


def test_top_k_says_how_many(hub: InferenceClient) -> None:
    assert [one.label for one in hub.image_classification(RED, top_k=1)] == ["red"]
    assert len(hub.image_classification(RED, top_k=100)) == 3


@pytest.mark.parametrize(
    ("function", "wanted"),
    [
        ("softmax", np.exp([10, 0, 0]) / np.exp([10, 0, 0]).sum()),
        ("sigmoid", 1 / (1 + np.exp([-10.0, 0, 0]))),
        ("none", [10, 0, 0]),
    ],
)
def test_a_function_is_applied_to_what_the_model_gives(hub: InferenceClient, function: Any, wanted: Any) -> None:
    found = hub.image_classification(RED, function_to_apply=function)
    assert [one.score for one in found] == pytest.approx(list(wanted))


def test_the_client_is_told_what_is_wrong(hub: InferenceClient) -> None:
    with pytest.raises(HfHubHTTPError, match="This is not an image: the bytes are not those of one"):
        hub.image_classification(b"hello")


@pytest.mark.parametrize(
    ("content", "status", "slug"),
    [
        (b"", 400, "empty-body"),
        (b'{"inputs": ""}', 400, "empty-body"),
        (b'{"inputs": "aGk="}', 400, "not-an-image"),
        (make_image(kind="BMP"), 415, "unsupported-format"),
        (RED + b"\0" * 2**20, 413, "too-many-bytes"),
        (b'{"inputs"', 422, "malformed-json"),
        (b'{"inputs": "!"}', 422, "invalid-input"),
        (b'{"parameters": {"top_k": 1}}', 422, "invalid-input"),
        (f'{{"inputs": "{ENCODED}", "parameters": {{"top_k": 0}}}}'.encode(), 422, "invalid-input"),
        (f'{{"inputs": "{ENCODED}", "parameters": {{"function_to_apply": "tanh"}}}}'.encode(), 422, "invalid-input"),
    ],
)
def test_what_is_no_request_has_its_problem(client: httpx2.Client, content: bytes, status: int, slug: str) -> None:
    answer = client.post("/", content=content)
    problem = answer.json()
    assert (answer.status_code, problem["type"].rpartition("/")[2]) == (status, slug), problem
    assert problem["error"] == f"{problem['title']}: {problem['detail']}"


def test_it_is_counted_as_a_prediction(server: Server, client: httpx2.Client) -> None:
    answer = client.post("/", content=RED)
    line = server.wait_for_request(request_id=answer.headers["X-Request-Id"])
    assert (line["path"], line["label"]) == ("/", "red")
