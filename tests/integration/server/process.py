"""The command `classifier` as a process of its own."""

import json
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import httpx2

COMMAND = str(Path(sys.executable).with_name("classifier"))
WAIT_SECONDS = 120
"""For what takes a second: machines that run tests may do much else."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Command:
    """A running command whose lines on stderr can be waited for."""

    def __init__(self, *arguments: str | Path, **environment: str) -> None:
        self.process = subprocess.Popen(
            [COMMAND, *map(str, arguments)],
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **environment},
        )
        self._lines: queue.Queue[str | None] = queue.Queue()
        self.seen: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self._lines.put(line)
        self._lines.put(None)

    def wait_for(self, text: str) -> str:
        """Return the next line that holds the text; fail with all lines if the command ends without it."""
        while (line := self._lines.get(timeout=WAIT_SECONDS)) is not None:
            self.seen.append(line)
            if text in line:
                return line
        raise AssertionError(f"{text!r} was never written:\n{''.join(self.seen)}")

    def wait_for_request(self, **fields: Any) -> dict[str, Any]:
        """Return the next log line of a request that has these fields."""
        while True:
            line: dict[str, Any] = json.loads(self.wait_for('"event": "request"'))
            if all(line.get(key) == value for key, value in fields.items()):
                return line

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self) -> int:
        """Return the exit status once the command has ended by itself."""
        status = self.process.wait(WAIT_SECONDS)
        self._reader.join(WAIT_SECONDS)
        assert self.process.stderr is not None
        self.process.stderr.close()
        return status

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.end()

    @property
    def text(self) -> str:
        """All that was written, once the command has ended."""
        while not self._lines.empty():
            line = self._lines.get()
            self.seen += [] if line is None else [line]
        return "".join(self.seen)


class Server(Command):
    """`classifier serve` on a free port."""

    def __init__(self, document: Path, *arguments: str | Path, **environment: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        super().__init__("serve", document, "--host=127.0.0.1", f"--port={self.port}", *arguments, **environment)

    def wait_until_ready(self) -> "Server":
        try:
            self.wait_for('"event": "serving"')
        except BaseException:
            self.kill()
            raise
        return self

    def client(self) -> httpx2.Client:
        return httpx2.Client(base_url=self.url, timeout=WAIT_SECONDS)

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=WAIT_SECONDS)


def read_answer(connection: socket.socket) -> tuple[int, dict[str, str], bytes]:
    """Return status, headers and body of one HTTP/1.1 answer with a Content-Length."""
    received = b""
    while b"\r\n\r\n" not in received:
        received += _receive(connection)
    head, _, body = received.partition(b"\r\n\r\n")
    first, *rest = head.decode().split("\r\n")
    headers = {key.lower(): value.strip() for key, _, value in (line.partition(":") for line in rest)}
    while len(body) < int(headers["content-length"]):
        body += _receive(connection)
    return int(first.split()[1]), headers, body


def _receive(connection: socket.socket) -> bytes:
    received = connection.recv(65536)
    if not received:
        raise ConnectionResetError("closed before the end of the answer")
    return received
