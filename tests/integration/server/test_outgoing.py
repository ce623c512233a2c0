"""Nothing leaves the process unasked: seen by strace, whatever library might try."""

import re
import shutil
import signal
import subprocess
from pathlib import Path

import httpx2
import psutil

from tests.integration.prediction_log.stores import START_SECONDS, wait_until
from tests.integration.server.process import COMMAND, free_port
from tests.tiny_model import make_image, write_document

INTERNET = re.compile(r"(connect|sendto|sendmsg|sendmmsg)\(.*sa_family=AF_INET6?\b.*")


def test_a_server_that_starts_and_answers_connects_to_nothing(tmp_path: Path) -> None:
    assert shutil.which("strace"), "this needs Debian's and Ubuntu's package strace"
    port, trace = free_port(), tmp_path / "trace"
    calls = ["-f", "-qq", "--seccomp-bpf", "--trace=connect,sendto,sendmsg,sendmmsg", f"--output={trace}"]
    served = [COMMAND, "serve", str(write_document(tmp_path)), "--host=127.0.0.1", f"--port={port}"]
    url = f"http://127.0.0.1:{port}"
    with (tmp_path / "log").open("wb") as log, subprocess.Popen(["strace", *calls, *served], stderr=log) as process:
        try:
            wait_until(lambda: answers(url), "the server to be ready", START_SECONDS)
            for path, content in (
                ("/api/v1/predict", make_image()),
                ("/api/v1/predict", b'{"image_path": "https://a.test/b"}'),
            ):
                httpx2.post(f"{url}{path}", content=content, timeout=30)
            for path in ("/", "/docs", "/openapi.json", "/metrics", "/api/v1/health"):
                assert httpx2.get(f"{url}{path}", timeout=30).is_success
        finally:
            # strace itself lets no signal end it before what it traces.
            for served_process in psutil.Process(process.pid).children():
                served_process.send_signal(signal.SIGINT)
    assert trace.exists()
    assert [line for line in trace.read_text().splitlines() if INTERNET.search(line)] == []


def answers(url: str) -> bool:
    try:
        return httpx2.get(f"{url}/readyz", timeout=30).is_success
    except httpx2.TransportError:
        return False
