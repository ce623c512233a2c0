"""`make run`: builds the sample model, serves it, classifies a photograph, and goes on serving until Ctrl-C."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

import httpx2

from classifier_inference.cli.local_log import FOLDER, read_address
from models import sample
from tools.answers import post_photo, show_predictions
from tools.foreground import own_foreground
from tools.images import ROOT
from tools.ports import is_free
from tools.terminal import console, step

SAMPLE = "manifests/samples/quickstart.yaml"
PHOTOS = ROOT / "models" / "photos"
READY_SECONDS = 60


class ServeError(Exception):
    """The server can't be started, or ended before it was asked to."""


def main() -> int:
    """Serve until Ctrl-C. Return the exit status."""
    port = int(os.environ.get("CLASSIFIER_PORT", "9000"))
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end)
    server = None
    try:
        with step(f"Building the sample model {sample.REFERENCE}"):
            sample.ensure_built(console)
        with step(f"Serving {SAMPLE} on port {port}"):
            server = start_server(port)
            wait_until_ready(server, port)
        introduce(port)
        return server.wait()
    except KeyboardInterrupt:
        console.print("\nStopped.")
        if server is None:
            return 0
        server.send_signal(signal.SIGINT)
        return server.wait()
    except ServeError as error:
        console.print(f"[red]{error}[/red]")
        return 1
    finally:
        if server and server.poll() is None:
            server.terminate()
            server.wait()


def _end(_number: int, _frame: FrameType | None) -> None:
    sys.exit(0)


def start_server(port: int) -> subprocess.Popen[bytes]:
    """Start the server on a port of this machine. Raises ServeError where the port is taken.

    It is told once of its end, by us: Ctrl-C doesn't reach its process group, nor does whoever signals ours alone.
    """
    if not is_free(port):
        raise ServeError(f"Port {port} is taken: stop what uses it, or set CLASSIFIER_PORT.")
    command = [str(Path(sys.executable).with_name("classifier")), "serve", SAMPLE, "--images", str(sample.BUILD)]
    defaults = {
        "IMAGE_ROOT": str(PHOTOS),
        "CLASSIFIER_HOST": "127.0.0.1",
        "CLASSIFIER_DRAIN_SECONDS": "0",
        "CLASSIFIER_LOG_LEVEL": "warning",
    }
    environment = {**defaults, **os.environ, "CLASSIFIER_PORT": str(port)}
    return subprocess.Popen(command, cwd=ROOT, env=environment, process_group=0)


def wait_until_ready(server: subprocess.Popen[bytes], port: int) -> None:
    """Return once the server can answer. Raises ServeError if it ends, or takes over a minute."""
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise ServeError(f"The server ended with status {server.returncode}.")
        try:
            if httpx2.get(f"http://127.0.0.1:{port}/readyz", timeout=5).status_code == httpx2.codes.OK:
                return
        except httpx2.TransportError:
            pass
        time.sleep(0.05)
    raise ServeError(f"The server was not ready after {READY_SECONDS} s.")


def introduce(port: int) -> None:
    """Show what the classifier says of a photograph, and where to go from here."""
    address = f"http://localhost:{port}"
    pages = {
        f"{address}/": "drop a photo, see what it is",
        f"{address}/docs": "every route, to try in the browser",
        f"{address}/api/v1/health": "the model, the machine, the device",
    }
    mlflow = read_address(ROOT / FOLDER)
    if mlflow is not None:
        pages[mlflow] = "MLflow, in a moment: each minute's predictions are logged there"
    width = max(map(len, pages))
    listed = "\n       ".join(f"{page:<{width}}   {shown}" for page, shown in pages.items())
    show_predictions("models/photos/cat.jpg", post_photo(f"http://127.0.0.1:{port}", PHOTOS / "cat.jpg"))
    console.print(
        f"""
Open   {listed}
Try    curl --data-binary @models/photos/espresso.jpg {address}/api/v1/predict
       curl -d '{{"image_path": "rocket.jpg"}}' {address}/api/v1/predict

Serving until Ctrl-C.""",
        soft_wrap=True,
    )


if __name__ == "__main__":
    with own_foreground():
        status = main()
    sys.exit(status)
