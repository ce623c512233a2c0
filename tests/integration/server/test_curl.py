"""What a body is, its first bytes decide: seen with curl, which names types of its own."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.integration.server.process import WAIT_SECONDS, Server
from tests.tiny_model import make_image


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "blue.jpg"
    path.write_bytes(make_image("blue", kind="JPEG"))
    return path


def curl(*arguments: str) -> str:
    done = subprocess.run(
        ["curl", "--silent", "--show-error", "--max-time", str(WAIT_SECONDS), *arguments],
        capture_output=True, text=True, timeout=2 * WAIT_SECONDS, check=True,
    )  # fmt: skip
    return done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ["--data-binary", "@{photo}"],
        ["--data-binary", "@{photo}", "--header", "Content-Type:"],
        ["--data-binary", "@{photo}", "--header", "Content-Type: application/octet-stream"],
        ["--data-binary", "@{photo}", "--header", "Content-Type: application/json"],
        ["--data-binary", "@{photo}", "--header", "Transfer-Encoding: chunked"],
        ["--upload-file", "{photo}", "--request", "POST"],
        ["--form", "file=@{photo}"],
        ["--data", '{"image_path": "sub/blue.jpg"}'],
        ["--json", '{"image_path": "sub/blue.jpg"}'],
    ],
)
def test_curl_needs_no_type(server: Server, photo: Path, arguments: list[str]) -> None:
    answer = json.loads(
        curl(*(one.replace("{photo}", str(photo)) for one in arguments), f"{server.url}/api/v1/predict")
    )
    assert answer["predictions"][0]["label"] == "blue"


@pytest.mark.parametrize("content_type", ["", "image/jpeg", "application/octet-stream"])
def test_415_is_for_a_format_that_is_left_out(server: Server, tmp_path: Path, content_type: str) -> None:
    path = tmp_path / "blue.bmp"
    path.write_bytes(make_image(kind="BMP"))
    arguments = ["--data-binary", f"@{path}", "--header", f"Content-Type: {content_type}"]
    answer = json.loads(curl(*arguments, f"{server.url}/api/v1/predict"))
    assert (answer["status"], answer["type"].rpartition("/")[2]) == (415, "unsupported-format")


def test_curl_asks_for_several(server: Server, photo: Path) -> None:
    forms = ["--form", f"file=@{photo}", "--form", "file=@/dev/null"]
    answer = json.loads(curl(*forms, f"{server.url}/api/v1/predict"))
    assert [result.get("status", 200) for result in answer["results"]] == [200, 400]
