"""Logging with no cluster: a recorder beside the server, and MLflow on SQLite and a folder, all under `.classifier/`.

MLflow's own package runs its server; it is not needed for anything else, and so is not installed with ours.
"""

import contextlib
import ctypes
import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import httpx2
import structlog

from classifier_inference.http.settings import Settings
from classifier_inference.log.spool.windows import start_writing
from classifier_inference.spec.classifier import API_VERSION, KIND, Classifier
from classifier_inference.spec.tracking import Mode, PredictionLog, Storage, Tracking

FOLDER = Path(".classifier")
MLFLOW_PORT = 5000
SHIP_SECONDS = 10
"""How long the end may wait for what was logged last to be shipped."""
INSTALL = f"{sys.executable} -m pip install mlflow"

_ADDRESS = "mlflow.url"
_END_SECONDS = 5
_NICENESS = 10
_PR_SET_PDEATHSIG = 1
_MLFLOW_SETTINGS = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}

_log = structlog.get_logger("local")


@contextmanager
def logging_locally(classifier: Classifier, settings: Settings) -> Iterator[tuple[Classifier, Settings]]:
    """Yield what to serve, and how, with what ships its predictions running beside it."""
    mode = classifier.spec.tracking.mode
    if mode == "None" or settings.spool is not None:
        yield classifier, settings
        return
    if mode == "Managed" and not has_mlflow():
        _log.warning(f"predictions are not logged: MLflow is not installed here; {INSTALL}")
        yield _without_log(classifier), settings
        return
    folder = FOLDER.resolve()
    spool = folder / "spool"
    settings = replace(settings, spool=spool, pod=_find_free_name(spool))
    with contextlib.ExitStack() as stack:
        if mode == "Managed":
            uri = read_running(folder)
            if uri is None:
                port = _find_free_port(MLFLOW_PORT)
                uri = stack.enter_context(_running_mlflow(folder, port))
            classifier = _with_tracking(classifier, uri)
            _log.info("predictions are logged", mlflow=uri, experiment=classifier.name, folder=str(folder))
        stack.enter_context(_running_recorder(classifier, settings, folder, mode))
        yield classifier, settings


def run_ui(port: int) -> int:
    """Show what was logged: MLflow's pages, until Ctrl-C. Return an exit status."""
    folder = FOLDER.resolve()
    running = read_running(folder)
    if running is not None:
        sys.stdout.write(f"MLflow shows it at {running}\n")
        return 0
    if not has_mlflow():
        sys.stderr.write(f"MLflow is not installed here: {INSTALL}\n")
        return 1
    if not (folder / "mlflow.db").exists():
        sys.stderr.write(f"Nothing was logged yet: there is no {folder / 'mlflow.db'}\n")
        return 1
    (folder / _ADDRESS).write_text(_address(port))
    sys.stdout.write(f"MLflow shows it at {_address(port)} until Ctrl-C\n")
    sys.stdout.flush()
    return _become(build_mlflow_command(folder, port))


def _become(command: list[str]) -> NoReturn:
    os.execve(command[0], command, {**os.environ, **_MLFLOW_SETTINGS})  # noqa: S606


def has_mlflow() -> bool:
    """Return whether MLflow's package is installed, without importing it."""
    try:
        return importlib.util.find_spec("mlflow") is not None
    except ModuleNotFoundError:
        return False


def read_address(folder: Path) -> str | None:
    """Return the address of the MLflow that was started on a folder, whether it answers yet or not."""
    try:
        return (folder / _ADDRESS).read_text()
    except FileNotFoundError:
        return None


def read_running(folder: Path) -> str | None:
    """Return the address of the MLflow that runs on a folder already, or None."""
    address = read_address(folder)
    try:
        return address if address and httpx2.get(f"{address}/version", timeout=2).is_success else None
    except httpx2.HTTPError:
        return None


def build_mlflow_command(folder: Path, port: int) -> list[str]:
    """Return the command that runs MLflow's server on a folder: SQLite, and artifacts as files."""
    return [
        sys.executable,
        "-m",
        "mlflow",
        "server",
        "--host=127.0.0.1",
        f"--port={port}",
        "--workers=1",
        f"--backend-store-uri=sqlite:///{folder / 'mlflow.db'}",
        f"--artifacts-destination={folder / 'artifacts'}",
    ]


@contextmanager
def _running_mlflow(folder: Path, port: int) -> Iterator[str]:
    address = _address(port)
    (folder / _ADDRESS).write_text(address)
    with (folder / "mlflow.log").open("ab") as output:
        child = _start(build_mlflow_command(folder, port), output.fileno(), _MLFLOW_SETTINGS)
    try:
        yield address
    finally:
        _end(child, _END_SECONDS)
        (folder / _ADDRESS).unlink(missing_ok=True)


@contextmanager
def _running_recorder(classifier: Classifier, settings: Settings, folder: Path, mode: Mode) -> Iterator[None]:
    document = folder / f"{settings.pod}.json"
    document.write_text(json.dumps(_render(classifier)))
    command = [sys.executable, "-c", "from classifier_inference.cli.main import app; app()", "record", str(document)]
    command += [f"--spool={settings.spool}", f"--pod={settings.pod}", f"--namespace={settings.namespace}"]
    command += [f"--ca-file={settings.ca_file}"] if settings.ca_file is not None else []
    # Its complaints that MLflow isn't there yet would be the first that anybody sees.
    command += [f"--after={classifier.spec.tracking.uri}"] if mode == "Managed" else []
    child = _start(command, None, {"CLASSIFIER_LOG_LEVEL": "warning"})
    try:
        yield
    finally:
        # What it has not shipped by then lies on disk, and is shipped the next time.
        patience = min(classifier.spec.prediction_log.ship_time, SHIP_SECONDS) + 1
        _end(child, patience if _can_connect(str(classifier.spec.tracking.uri)) else 0)


def _start(command: list[str], output: int | None, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    """Start a child that Ctrl-C on the terminal doesn't reach: it ends when its server has."""
    return subprocess.Popen(  # noqa: S603
        command,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        env={**os.environ, **environment},
        start_new_session=True,
        preexec_fn=_prepare_child if sys.platform == "linux" else None,
    )


def _prepare_child() -> None:
    """Let the server go first, and have the system end this process when its parent was killed."""
    os.nice(_NICENESS)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _end(child: subprocess.Popen[bytes], seconds: float) -> None:
    for number, patience in ((signal.SIGTERM, seconds), (signal.SIGKILL, _END_SECONDS)):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(patience)
            return


def _can_connect(address: str) -> bool:
    url = httpx2.URL(address)
    port = url.port or (443 if url.scheme == "https" else 80)
    try:
        socket.create_connection((url.host, port), timeout=2).close()
    except OSError:
        return False
    return True


def _address(port: int) -> str:
    return f"http://127.0.0.1:{port}"


def _find_free_port(first: int) -> int:
    for port in (first, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                return int(probe.getsockname()[1])
    raise OSError("there is no free port")


def _find_free_name(spool: Path) -> str:
    """Return a folder's name in the spool that no other server on this machine writes to."""
    number = 1
    while True:
        name = f"local-{number}"
        writing = start_writing(spool / name)
        if writing is not None:
            writing.release()
            return name
        number += 1


def _with_tracking(classifier: Classifier, uri: str) -> Classifier:
    """Return the classifier as the operator would resolve it; artifacts go through MLflow."""
    changed = {"tracking": Tracking(mode="External", uri=uri), "storage": Storage()}
    return classifier.model_copy(update={"spec": classifier.spec.model_copy(update=changed)})


def _without_log(classifier: Classifier) -> Classifier:
    changed = {"tracking": Tracking(), "prediction_log": PredictionLog()}
    return classifier.model_copy(update={"spec": classifier.spec.model_copy(update=changed)})


def _render(classifier: Classifier) -> dict[str, object]:
    spec = classifier.spec.model_dump(mode="json", by_alias=True, exclude_unset=True)
    return {"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": classifier.name}, "spec": spec}
