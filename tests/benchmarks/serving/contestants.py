"""What is compared: servers and pipelines of one model, each in processes of its own, stopped while others run."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from tests.benchmarks.serving.load import Measured, Target, ask_from_clients
from tests.benchmarks.serving.plain import Preprocess
from tests.integration.server.process import COMMAND, free_port

ROOT = Path(__file__).resolve().parents[3]
START_SECONDS = 60
CORES = len(os.sched_getaffinity(0))
BOUNDARY = "a-form-of-one-image"


@dataclass(frozen=True)
class Served:
    """A model to be served: its file, with labels.txt beside it, and the same thing as an object's document."""

    name: str
    model: Path
    preprocess: Preprocess
    document: Path


class Process:
    """A running command, in a process group of its own."""

    def __init__(self, command: Sequence[str | Path], log: Path, **environment: str) -> None:
        self.began = time.perf_counter()
        self.seconds_to_ready = 0.0
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                list(map(str, command)), cwd=ROOT, start_new_session=True, stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, stderr=output, env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
            )  # fmt: skip

    def note_ready(self) -> None:
        self.seconds_to_ready = time.perf_counter() - self.began

    def measure_memory(self) -> int:
        """Return the resident memory of the process and all its children, in bytes."""
        process = psutil.Process(self._process.pid)
        return sum(one.memory_info().rss for one in [process, *process.children(recursive=True)])

    def measure_cpu(self) -> float:
        """Return the processor time that the process and all its children have taken, in seconds."""
        process = psutil.Process(self._process.pid)
        times = [one.cpu_times() for one in [process, *process.children(recursive=True)]]
        return sum(one.user + one.system for one in times)

    def write(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode())
        self._process.stdin.flush()

    def read(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._process.args!r} has ended; its log says why")
        return line.decode()

    def require_alive(self) -> None:
        if self._process.poll() is not None:
            raise RuntimeError(f"{self._process.args!r} has ended; its log says why")

    def pause(self) -> None:
        os.killpg(self._process.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        os.killpg(self._process.pid, signal.SIGCONT)

    def kill(self) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()


class Contestant:
    """One way to serve the model."""

    name: str
    processes: list[Process]

    def measure(self, clients: int, seconds: float) -> Measured:
        """Return what it did in that time."""
        raise NotImplementedError

    def measure_memory(self) -> int:
        """Return its resident memory in bytes."""
        return sum(process.measure_memory() for process in self.processes)

    def measure_cpu(self) -> float:
        """Return the processor time that it has taken, in seconds."""
        return sum(process.measure_cpu() for process in self.processes)

    def kill(self) -> None:
        """End it."""
        for process in self.processes:
            process.kill()

    @property
    def seconds_to_ready(self) -> float:
        """From the start of the process to the first answer."""
        return max(process.seconds_to_ready for process in self.processes)

    @contextmanager
    def awake(self) -> Iterator[None]:
        """Let it run, and stop it afterwards."""
        for process in self.processes:
            process.go_on()
        yield
        for process in self.processes:
            process.pause()


class HttpContestant(Contestant):
    """A server."""

    def __init__(self, name: str, process: Process, url: str, target: Target, ready: str) -> None:
        self.name, self.processes, self.url, self.target = name, [process], url, target
        try:
            self._wait_for(process, f"{url}{ready}")
        except BaseException:
            process.kill()
            raise
        process.note_ready()
        process.pause()

    def _wait_for(self, process: Process, url: str) -> None:
        while not _answers(url):
            process.require_alive()
            if time.perf_counter() > process.began + START_SECONDS:
                raise TimeoutError(f"{self.name} does not answer")
            time.sleep(0.01)

    def measure(self, clients: int, seconds: float) -> Measured:
        measured = asyncio.run(ask_from_clients(self.target, clients, seconds))
        if set(measured.counts) != {200}:
            raise RuntimeError(f"{self.name} answered {dict(measured.counts)}")
        return measured


class PipelineContestant(Contestant):
    """The pipeline alone, in as many processes as there are cores."""

    def __init__(self, name: str, served: Served, images: list[Path], log: Path) -> None:
        self.name = name
        script = "tests.benchmarks.serving.pipeline"
        command: list[str | Path] = [sys.executable, "-m", script, served.document, *images]
        self.processes = [Process(command, log) for _ in range(CORES)]
        for process in self.processes:
            process.read()
            process.note_ready()
            process.pause()

    def measure(self, clients: int, seconds: float) -> Measured:
        for process in self.processes:
            process.write(f"{seconds}\n")
        done = [json.loads(process.read()) for process in self.processes]
        measured = Measured(max(one["seconds"] for one in done))
        for one in done:
            for taken in one["times"]:
                measured.note(200, taken)
        return measured


def start_ours(name: str, served: Served, contents: list[bytes], log: Path, **environment: str) -> HttpContestant:
    """Return this server, with its defaults."""
    url, port = _choose_url()
    command: list[str | Path] = [COMMAND, "serve", served.document, "--host=127.0.0.1", f"--port={port}"]
    target = Target(url, "/api/v1/predict", *contents)
    return HttpContestant(name, Process(command, log, **environment), url, target, "/readyz")


def start_naive(name: str, served: Served, contents: list[bytes], log: Path) -> HttpContestant:
    """Return a FastAPI of a few lines."""
    url, port = _choose_url()
    command = [sys.executable, "-m", "tests.benchmarks.serving.naive_server", *_describe(served, port)]
    return HttpContestant(name, Process(command, log), url, _take_forms(url, contents), "/health")


def start_litserve(name: str, served: Served, contents: list[bytes], log: Path) -> HttpContestant:
    """Return LitServe, from an environment of its own: pyproject's group `litserve`."""
    url, port = _choose_url()
    python = find_litserve()
    command = [python, "-m", "tests.benchmarks.serving.litserve_server", *_describe(served, port)]
    return HttpContestant(name, Process(command, log), url, _take_forms(url, contents), "/health")


def find_litserve() -> str:
    """Return the interpreter of the environment with LitServe, made where it isn't there yet."""
    uv = Path(sys.executable).with_name("uv")
    folder = ROOT / ".venv" / "litserve"
    subprocess.run(
        [str(uv), "sync", "--quiet", "--locked", "--only-group", "litserve"],
        cwd=ROOT, check=True, env={**os.environ, "UV_PROJECT_ENVIRONMENT": str(folder)},
    )  # fmt: skip
    return str(folder / "bin" / "python")


def _describe(served: Served, port: int) -> list[str]:
    return [str(served.model), json.dumps(asdict(served.preprocess)), str(port)]


def _choose_url() -> tuple[str, int]:
    port = free_port()
    return f"http://127.0.0.1:{port}", port


def _take_forms(url: str, contents: list[bytes]) -> Target:
    forms = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="request"; filename="photo.jpg"\r\n'
        "Content-Type: image/jpeg\r\n\r\n".encode()
        + content
        + f"\r\n--{BOUNDARY}--\r\n".encode()
        for content in contents
    ]
    return Target(url, "/predict", *forms, content_type=f"multipart/form-data; boundary={BOUNDARY}")


def _answers(url: str) -> bool:
    # By the plainest client: one that takes its time would take it from the server that is starting.
    parsed = urlsplit(url)
    connection = HTTPConnection(parsed.hostname or "", parsed.port, timeout=START_SECONDS)
    try:
        connection.request("GET", parsed.path)
        return connection.getresponse().status == HTTPStatus.OK
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
