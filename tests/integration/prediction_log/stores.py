"""A real MLflow and a real MinIO, each a process of its own, and a gate before each that can be shut."""

import fcntl
import itertools
import os
import selectors
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import httpx2
import trustme

from tests.integration.server.process import free_port

MINIO_IMAGE = "pgsty/minio:latest"
MINIO_BINARIES = ("/var/cache/cluster/bin/minio", shutil.which("minio") or "")
KEY_ID, SECRET_KEY = "recorder", "recorder-secret"
BUCKET = "mlflow"
MLFLOW = str(Path(sys.executable).with_name("mlflow"))
MINIO_HEALTH, MLFLOW_HEALTH = "/minio/health/live", "/health"
START_SECONDS = 600
"""For MLflow, which takes ten on a machine that does nothing else; beside a local server it is nice to all others."""
UNTIL_UNUSED = '("$@"; kill -KILL 0) & exec flock "$0" --command "kill -KILL 0"'
"""Shell that runs a command until a file's lock is free."""


_numbers = itertools.count()
_left_running: list["StartedStore"] = []
"""Those that may have other users when ours have gone: what is forgotten while it runs is warned of."""


class Gate:
    """Passes TCP connections on to a port; shut, it refuses them and breaks those that it has.

    With `tls` they come by TLS, and are passed on without.
    """

    def __init__(self, target: int, tls: ssl.SSLContext | None = None) -> None:
        self.port = free_port()
        self._tls = tls
        self.on_connection: Callable[[], object] = lambda: None
        """Called when somebody has connected, before anything is passed on."""
        self._target = target
        self._listener: socket.socket | None = None
        self._open: set[socket.socket] = set()
        self.open()

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    def open(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def shut(self) -> None:
        if self._listener is not None:
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
        for connection in list(self._open):
            _break(connection)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            self.on_connection()
            threading.Thread(target=self._pass_on, args=(client,), daemon=True).start()

    def _pass_on(self, client: socket.socket) -> None:
        try:
            client = self._tls.wrap_socket(client, server_side=True) if self._tls else client
        except OSError:
            return  # who doesn't trust us goes away
        with client, socket.create_connection(("127.0.0.1", self._target)) as server:
            self._open |= {client, server}
            other = {client: server, server: client}
            with selectors.DefaultSelector() as selector:
                for side in other:
                    selector.register(side, selectors.EVENT_READ)
                try:
                    while True:
                        for key, _ in selector.select():
                            received = _receive(key.fileobj)  # type: ignore[arg-type]
                            if not received:
                                return
                            other[key.fileobj].sendall(received)  # type: ignore[index]
                except OSError:
                    return
                finally:
                    self._open -= {client, server}


def _receive(connection: socket.socket) -> bytes:
    """Return what is there, none of it left behind where no selector would see it."""
    received = connection.recv(2**16)
    while isinstance(connection, ssl.SSLSocket) and connection.pending():
        received += connection.recv(2**16)
    return received


def _break(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return


def show_certificates(folder: Path) -> tuple[Path, ssl.SSLContext]:
    """Return the file of an authority of our own, and with what a Gate shows a certificate that it issued."""
    authority, ca_file = trustme.CA(), folder / "ca.crt"
    authority.cert_pem.write_to_path(str(ca_file))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return ca_file, context


@dataclass(frozen=True)
class Store:
    """Where a store answers."""

    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def answers(self, path: str) -> bool:
        try:
            return httpx2.get(f"{self.url}{path}", timeout=60).is_success
        except httpx2.TransportError:
            return False


class StartedStore(Store):
    """A server process, in a session of its own so that its children end with it.

    With `users`, a file, it ends when nobody holds a lock on that any more, however those who did have ended.
    """

    def __init__(
        self,
        command: list[str],
        port: int,
        log: Path,
        environment: dict[str, str],
        *,
        asked: str,
        users: Path | None = None,
    ) -> None:
        super().__init__(port)
        self._log = log
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                command if users is None else ["sh", "-c", UNTIL_UNUSED, str(users), *command],
                env={**os.environ, **environment},
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            wait_until(lambda: self._is_up(asked), f"{command[0]} to answer", START_SECONDS)
        except AssertionError:
            self.stop()
            raise

    def _is_up(self, path: str) -> bool:
        assert self._process.poll() is None, self._log.read_text()
        return self.answers(path)

    def stop(self) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


@contextmanager
def share(folder: Path, asked: str, start: Callable[[Path], StartedStore]) -> Iterator[Store]:
    """Yield the store of a folder: who is the first to need it starts it, and it ends with the last of its users."""
    folder.mkdir(exist_ok=True)
    users, port = folder / "users", folder / "port"
    users.touch()
    with users.open() as used:
        with (folder / "starting").open("w") as starting:
            fcntl.flock(starting, fcntl.LOCK_EX)
            # Where the last one has just gone, this waits until the store has, too.
            fcntl.flock(used, fcntl.LOCK_SH)
            store = Store(int(port.read_text())) if port.exists() else None
            if store is None or not store.answers(asked):
                store = start(users)
                port.write_text(str(store.port))
                _left_running.append(store)
        yield store


def start_mlflow(folder: Path, minio: str, users: Path | None = None, **environment: str) -> StartedStore:
    """MLflow on SQLite, `mlflow.db` in the folder; its own artifacts lie beside it."""
    port = free_port()
    arguments = [
        "server",
        f"--backend-store-uri={backend_uri(folder)}",
        f"--artifacts-destination={folder / 'artifacts'}",
        f"--port={port}",
        "--workers=1",
    ]
    environment = mlflow_environment(minio) | environment
    return StartedStore(
        [MLFLOW, *arguments], port, folder / "mlflow.log", environment, asked=MLFLOW_HEALTH, users=users
    )


def collect_garbage(folder: Path, tracking_uri: str, minio: str, run_id: str | None = None) -> None:
    """Run `mlflow gc` as beside the server, on its database, with its credentials; for one run or all."""
    where = [f"--backend-store-uri={backend_uri(folder)}", f"--tracking-uri={tracking_uri}"]
    what = [] if run_id is None else [f"--run-ids={run_id}"]
    subprocess.run(
        [MLFLOW, "gc", *where, *what],
        env={**os.environ, **mlflow_environment(minio)},
        check=True,
        capture_output=True,
    )


def backend_uri(folder: Path) -> str:
    return f"sqlite:///{folder / 'mlflow.db'}"


def mlflow_environment(minio: str) -> dict[str, str]:
    return {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_S3_ENDPOINT_URL": minio,
        **credentials(),
    }


def credentials(key_id: str = KEY_ID, secret_key: str = SECRET_KEY) -> dict[str, str]:
    return {"AWS_ACCESS_KEY_ID": key_id, "AWS_SECRET_ACCESS_KEY": secret_key}


def find_minio() -> str | None:
    """Return MinIO's executable, if there is one."""
    return next((path for path in MINIO_BINARIES if path and Path(path).exists()), None)


def start_minio(folder: Path, users: Path | None = None) -> StartedStore:
    """MinIO with its bucket: the executable where there is one, else the image."""
    port = free_port()
    keys = {
        "MINIO_ROOT_USER": KEY_ID,
        "MINIO_ROOT_PASSWORD": SECRET_KEY,
        "MINIO_PROMETHEUS_AUTH_TYPE": "public",
    }
    binary = find_minio()
    (folder / "data").mkdir(exist_ok=True)
    if binary is not None:
        command = [binary, "server", "--quiet", f"--address=127.0.0.1:{port}", str(folder / "data")]
    else:
        command = _dockered(port, keys)
    store = StartedStore(command, port, folder / "minio.log", keys, asked=MINIO_HEALTH, users=users)
    client = s3_client(store.url)
    if BUCKET not in [found["Name"] for found in client.list_buckets()["Buckets"]]:
        client.create_bucket(Bucket=BUCKET)
    return store


def make_name(kind: str) -> str:
    """Return a name that no other test has, in this process or another."""
    return f"{kind}-{os.getpid()}-{next(_numbers)}"


def _dockered(port: int, keys: dict[str, str]) -> list[str]:
    docker = shutil.which("docker")
    found = docker and subprocess.run([docker, "image", "inspect", MINIO_IMAGE], capture_output=True).returncode == 0
    if not found:
        raise AssertionError(f"these tests need MinIO: `minio` in the PATH, or the image {MINIO_IMAGE} in Docker")
    names = [f"--env={name}" for name in keys]
    return [
        docker or "",
        "run",
        "--rm",
        "--init",
        f"--publish=127.0.0.1:{port}:9000",
        *names,
        MINIO_IMAGE,
        "server",
        "/data",
    ]


def s3_client(url: str) -> Any:
    return boto3.client(
        "s3", endpoint_url=url, region_name="us-east-1", aws_access_key_id=KEY_ID, aws_secret_access_key=SECRET_KEY
    )


def wait_until(done: Callable[[], object], what: str, seconds: float = 60) -> None:
    """Wait for what nobody announces."""
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, f"waited {seconds:g} s for {what}"
        time.sleep(0.05)
