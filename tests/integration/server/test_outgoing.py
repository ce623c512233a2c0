"""Nothing leaves the process unasked, to other machines or to files: seen by strace, whatever library might try."""

import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import psutil

from tests.integration.prediction_log.stores import START_SECONDS, wait_until
from tests.integration.server.process import COMMAND, WAIT_SECONDS, free_port
from tests.tiny_model import encode, make_image, make_noise, write_document

SENDING = "connect,sendto,sendmsg,sendmmsg"
INTERNET = re.compile(r"(connect|sendto|sendmsg|sendmmsg)\(.*sa_family=AF_INET6?\b.*")
WRITING = (
    "open,openat,openat2,creat,mkdir,mkdirat,mknod,mknodat,rename,renameat,renameat2,link,linkat,symlink,symlinkat"
)
WRITTEN = re.compile(r'(?:open\w*\([^"]*"([^"]*)", [^,)]*O_(?:WRONLY|RDWR|CREAT)|\b(?!open)[a-z0-9]+\([^"]*"([^"]*)")')
"""The path of a file that is opened to be written, or of another call that makes one."""


@contextmanager
def traced(calls: str, trace: Path, document: Path, *arguments: str) -> Iterator[str]:
    """Yield the URL of a server; afterwards `trace` has a line for each of its calls of that kind."""
    assert shutil.which("strace"), "this needs Debian's and Ubuntu's package strace"
    port = free_port()
    strace = ["strace", "-f", "-qq", "--seccomp-bpf", "--string-limit=1000", f"--trace={calls}", f"--output={trace}"]
    # Bytecode is written once, by whoever imports a module first.
    served = ["env", "PYTHONDONTWRITEBYTECODE=1", COMMAND, "serve", str(document), "--host=127.0.0.1", f"--port={port}"]
    url = f"http://127.0.0.1:{port}"
    with (
        trace.with_name("stderr").open("wb") as log,
        subprocess.Popen([*strace, *served, *arguments], stderr=log) as process,
    ):
        try:
            wait_until(lambda: answers(url), "the server to be ready", START_SECONDS)
            yield url
        finally:
            # strace itself lets no signal end it before what it traces.
            for served_process in psutil.Process(process.pid).children():
                served_process.send_signal(signal.SIGINT)


def answers(url: str) -> bool:
    try:
        return httpx2.get(f"{url}/readyz", timeout=WAIT_SECONDS).is_success
    except httpx2.TransportError:
        return False


def test_a_server_that_starts_and_answers_connects_to_nothing(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    with traced(SENDING, trace, write_document(tmp_path)) as url:
        for path, content in (
            ("/api/v1/predict", make_image()),
            ("/api/v1/predict", b'{"image_path": "https://a.test/b"}'),
        ):
            httpx2.post(f"{url}{path}", content=content, timeout=WAIT_SECONDS)
        for path in ("/", "/docs", "/openapi.json", "/metrics", "/api/v1/health"):
            assert httpx2.get(f"{url}{path}", timeout=WAIT_SECONDS).is_success
    assert [line for line in trace.read_text().splitlines() if INTERNET.search(line)] == []


def test_nothing_is_written_but_the_spool(tmp_path: Path) -> None:
    trace, spool = tmp_path / "trace", tmp_path / "spool"
    tracking = {"mode": "External", "uri": "http://127.0.0.1:1"}
    document = write_document(tmp_path, tracking=tracking)
    with traced(WRITING, trace, document, f"--files={tmp_path}", f"--spool={spool}") as url:
        photo = encode(make_noise((1500, 1000)))
        for files in ([("file", photo)], [("file", photo), ("file", make_image())]):
            assert httpx2.post(f"{url}/api/v1/predict", files=files, timeout=WAIT_SECONDS).is_success
        for content in (photo, photo[:100_000], b"{"):
            httpx2.post(f"{url}/api/v1/predict", content=content, timeout=WAIT_SECONDS)
        for path in ("/", "/docs", "/metrics", "/api/v1/health"):
            assert httpx2.get(f"{url}{path}", timeout=WAIT_SECONDS).is_success
    found = [match for line in trace.read_text().splitlines() if (match := WRITTEN.search(line))]
    written = {next(filter(None, match.groups())) for match in found}
    assert any(path.startswith(f"{spool}/") for path in written)
    assert {path for path in written if not path.startswith(str(spool))} <= {"/dev/null"}
