"""Several images in one request: an answer or a problem for each, under a request id of its own."""

from pathlib import Path
from typing import Any

import httpx2
from pydantic import TypeAdapter

from classifier_inference.http.v1.schemas import InferenceResults
from classifier_inference.log.spool.windows import list_open, read_records
from tests.integration.server.conftest import Start
from tests.integration.server.process import Server, free_port
from tests.integration.server.test_bad_requests import TRUNCATED_JPEG, expect
from tests.tiny_model import make_image

PREDICT = "/api/v1/predict"
RESULTS = TypeAdapter(InferenceResults)


def read_results(answer: httpx2.Response) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    RESULTS.validate_json(answer.content)
    results: list[dict[str, Any]] = answer.json()["results"]
    assert [result["index"] for result in results] == list(range(len(results)))
    ids = {result["request_id"] for result in results}
    assert len(ids | {answer.headers["X-Request-Id"]}) == len(results) + 1
    return results


def name(result: dict[str, Any]) -> str:
    """What came of an image: its label, or the end of its problem's type."""
    label = result["predictions"][0]["label"] if "predictions" in result else result["type"].rpartition("/")[2]
    return str(label)


def as_files(*contents: bytes) -> list[tuple[str, tuple[str, bytes, str]]]:
    return [("file", (f"{number}.png", content, "image/png")) for number, content in enumerate(contents)]


def test_each_file_of_a_form_has_its_answer_or_its_problem(client: httpx2.Client) -> None:
    too_long = make_image() + b"\0" * 2**20
    contents = [
        make_image("blue"),
        TRUNCATED_JPEG,
        b"",
        b"hello",
        make_image(kind="BMP"),
        too_long,
        make_image("green"),
    ]
    results = read_results(client.post(PREDICT, files=as_files(*contents)))
    assert [name(result) for result in results] == [
        "blue", "broken-image", "empty-body", "not-an-image", "unsupported-format", "too-many-bytes", "green",
    ]  # fmt: skip
    assert [result.get("status") for result in results] == [None, 400, 400, 400, 415, 413, None]


def test_each_path_has_its_answer_or_its_problem(client: httpx2.Client) -> None:
    paths = ["sub/blue.jpg", "nothing.png", "../secret.png", "red.png"]
    results = read_results(client.post(PREDICT, json={"image_paths": paths}))
    assert [name(result) for result in results] == ["blue", "no-such-image", "outside-image-root", "red"]
    assert [name(result) for result in read_results(client.post(PREDICT, json={"image_paths": ["red.png"]}))] == ["red"]


def test_a_form_may_have_as_many_bytes_as_its_images_may(client: httpx2.Client) -> None:
    padded = make_image("blue") + b"\0" * (900 * 1024)
    assert [name(result) for result in read_results(client.post(PREDICT, files=as_files(*[padded] * 16)))] == [
        "blue"
    ] * 16
    expect(client.post(PREDICT, files=as_files(*[make_image()] * 17)), 413, "too-many-images")
    expect(client.post(PREDICT, files=as_files(*[padded] * 20)), 413, "too-many-bytes")


def test_a_request_for_several_has_one_line_that_counts_the_answered(server: Server, client: httpx2.Client) -> None:
    answer = client.post(PREDICT, files=as_files(make_image(), b"hello", make_image()))
    line = server.wait_for_request(request_id=answer.headers["X-Request-Id"])
    assert (line["status"], line["images"]) == (200, 2)


def test_each_answered_image_is_logged_under_its_own_request_id(start: Start, tmp_path: Path) -> None:
    tracking = {"mode": "External", "uri": f"http://127.0.0.1:{free_port()}"}
    spool = tmp_path / "spool"
    server = start(f"--files={tmp_path}", f"--spool={spool}", environment={"POD_NAME": "pod"}, tracking=tracking)
    with server.wait_until_ready().client() as client:
        results = read_results(client.post(PREDICT, files=as_files(make_image("red"), b"hello", make_image("blue"))))
    records = [record for path in list_open(spool / "pod") for record in read_records(path)]
    answered = [result for result in results if "predictions" in result]
    assert [(record.request_id, record.image.name) for record in records] == [
        (answered[0]["request_id"], "0.png"),
        (answered[1]["request_id"], "2.png"),
    ]
    assert [record.predictions[0].label for record in records] == ["red", "blue"]
