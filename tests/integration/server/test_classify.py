"""`classifier classify`: the answer as a table, and errors in one line."""

import subprocess
from pathlib import Path

import httpx2
import pytest

from tests.integration.server.process import COMMAND, Server, free_port


def run(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([COMMAND, "classify", *map(str, arguments)], capture_output=True, text=True, check=False)


def test_a_table_an_image_is_printed(server: Server, client: httpx2.Client, image_root: Path) -> None:
    ran = run(image_root / "red.png", image_root / "sub/blue.jpg", f"--url={server.url}/")
    assert (ran.returncode, ran.stderr) == (0, "")
    first, second = ran.stdout.split("blue.jpg")
    assert "red.png" in first
    rows = [line.split("│")[1:-1] for line in second.splitlines() if "│" in line]
    assert [cell.strip() for cell in rows[0]][:3] == ["1", "blue", "2"]
    assert len(rows) == 3


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("text.jpg", "This is not an image: the bytes are not those of one"),
        ("absent.jpg", "can't be read: No such file or directory"),
    ],
)
def test_an_error_is_one_line_and_the_other_images_are_classified(
    server: Server, client: httpx2.Client, image_root: Path, name: str, message: str
) -> None:
    ran = run(image_root / name, image_root / "red.png", f"--url={server.url}")
    assert ran.returncode == 1
    assert ran.stderr == f"{image_root / name}: {message}\n"
    assert "red.png" in ran.stdout


def test_a_server_that_is_not_there_is_said_in_one_line(image_root: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    ran = run(image_root / "red.png", f"--url={url}")
    assert ran.returncode == 1
    assert ran.stderr.startswith(f"{image_root / 'red.png'}: no answer from {url}")
    assert ran.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("url", "message"),
    [("nonsense", "no answer from nonsense"), ("{server}/docs#", "The route doesn't take this method")],
)
def test_an_address_that_is_no_classifiers_is_said_to_be_none(
    server: Server, client: httpx2.Client, image_root: Path, url: str, message: str
) -> None:
    ran = run(image_root / "red.png", f"--url={url.format(server=server.url)}")
    assert ran.returncode == 1
    assert message in ran.stderr
    assert ran.stderr.count("\n") == 1
