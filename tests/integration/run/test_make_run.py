"""`make run` in a fresh copy of the checkout, on a terminal."""

import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pexpect
import pytest

from tests.integration.prediction_log.stores import START_SECONDS, wait_until

ROOT = Path(__file__).parents[3]
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*use of forkpty.*:DeprecationWarning"),
    pytest.mark.usefixtures("usual_port"),
]

# The shell stands for the user's: it sees make's status, and reads from the terminal afterwards.
SHELL = "make run; echo status=$?; read -r line; echo heard=$line"


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what is committed or would be, without anything that was built."""
    copy = tmp_path_factory.mktemp("checkout")
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy / name)
    return copy


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def make_run(checkout: Path, port: int) -> Iterator["pexpect.spawn[str]"]:
    unset = ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "VIRTUAL_ENV")
    environment = {name: value for name, value in os.environ.items() if name not in unset}
    environment |= {"CLASSIFIER_PORT": str(port), "TERM": "dumb"}
    terminal = pexpect.spawn("sh", ["-c", SHELL], cwd=checkout, env=environment, encoding="utf-8", timeout=600)
    try:
        yield terminal
    finally:
        terminal.close(force=True)


def test_serves_the_sample_until_ctrl_c_which_ends_it_with_status_0(checkout: Path, port: int) -> None:
    with make_run(checkout, port) as terminal:
        terminal.expect("Serving until Ctrl-C")
        said = str(terminal.before)
        assert re.search(r"1 .*(tabby|tiger cat|Egyptian cat)", said)
        assert f"http://localhost:{port}/docs" in said
        asked = f"http://127.0.0.1:{port}/api/v1/predict"
        answer = httpx2.post(asked, json={"image_path": "rocket.jpg"}, timeout=START_SECONDS)
        assert answer.json()["predictions"][0]["class_id"] == 657
        told = re.search(r"(http://127\.0\.0\.1:\d+) +MLflow", said)
        assert told
        descriptions = r"(drop a photo|every route|the model, the machine|MLflow, in a moment)"
        columns = [found.start() for line in said.splitlines() if (found := re.search(descriptions, line))]
        assert len(columns) == 4
        assert len(set(columns)) == 1
        # More than its health: the first question takes it seconds, of the ten that the end waits for what is shipped.
        asked = f"{told[1]}/api/2.0/mlflow/experiments/get-by-name?experiment_name=Default"
        wait_until(lambda: answers(asked), "MLflow", START_SECONDS)
        terminal.sendintr()
        terminal.expect("status=0")
        terminal.sendline("thanks")
        terminal.expect("heard=thanks")
    for url in (f"http://127.0.0.1:{port}/healthz", f"{told[1]}/health"):
        assert not answers(url)
    assert count_logged(checkout) == 2


def answers(url: str) -> bool:
    try:
        return httpx2.get(url, timeout=START_SECONDS).is_success
    except httpx2.TransportError:
        return False


def count_logged(checkout: Path) -> int:
    """Return how many predictions MLflow's database tells of."""
    with sqlite3.connect(checkout / ".classifier" / "mlflow.db") as database:
        ((count,),) = database.execute("SELECT sum(value) FROM latest_metrics WHERE key = 'count'").fetchall()
    return int(count)


def test_starts_again_without_installing_anything(checkout: Path, port: int) -> None:
    installed = (checkout / ".venv/.installed").exists()  # by a test before this one
    for _ in range(1 if installed else 2):
        with make_run(checkout, port) as terminal:
            terminal.expect("Serving until Ctrl-C")
            said = str(terminal.before)
            terminal.sendintr()  # before MLflow answers: that ends all of it too
            terminal.expect("status=0")
    assert not re.search("Making|Installing", said)


def test_says_that_its_port_is_taken(checkout: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = int(other.getsockname()[1])
        with make_run(checkout, port) as terminal:
            terminal.expect(f"Port {port} is taken")
            terminal.expect("status=2")


def test_ends_its_server_when_it_alone_is_interrupted(checkout: Path, port: int) -> None:
    with make_run(checkout, port) as terminal:  # which installs it
        terminal.expect("Serving until Ctrl-C")
        terminal.sendintr()
        terminal.expect("status=0")
    program = [str(checkout / ".venv/bin/python"), "-m", "tools.serve"]
    environment = {**os.environ, "CLASSIFIER_PORT": str(port)}
    running = subprocess.Popen(
        program, cwd=checkout, env=environment, stdout=subprocess.DEVNULL, start_new_session=True
    )
    try:
        wait_until(lambda: answers(f"http://127.0.0.1:{port}/readyz"), "the server", START_SECONDS)
        running.send_signal(signal.SIGINT)
        assert running.wait(START_SECONDS) == 0
    finally:
        running.kill()
    assert not answers(f"http://127.0.0.1:{port}/healthz")
