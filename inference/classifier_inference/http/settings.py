"""What the process is told by its environment; the command line's options override it."""

from dataclasses import dataclass
from pathlib import Path

from classifier_inference.report.termination_log import DEFAULT_TERMINATION_LOG


@dataclass(frozen=True)
class Settings:
    """How one server runs. The names of the environment variables stand beside the options in cli.py."""

    host: str = "0.0.0.0"  # noqa: S104 - in a pod, the pod's own address is not known beforehand
    port: int = 9000
    image_root: Path | None = None
    """The folder that `image_path` names files under; None refuses `image_path`."""
    root_path: str = ""
    """The ingress's path prefix, without a slash at its end; a request may come with or without it."""
    api_keys: Path | None = None
    """The folder of the API keys; None asks for none."""
    cors: tuple[str, ...] = ()
    """The origins whose pages may ask from a browser; "*" is any."""
    drain_seconds: float = 5
    """How long requests are still answered after SIGTERM."""
    termination_log: Path = DEFAULT_TERMINATION_LOG
    spool: Path | None = None
    """The folder that predictions are spooled in; each server has a folder of its own there. None: no log."""
    pod: str = "local"
    """What that folder is called."""
    namespace: str = ""
    ca_file: Path | None = None
    """PEM: certificate authorities to trust besides the usual ones."""


def parse_origins(text: str) -> tuple[str, ...]:
    """Return the origins of a list with commas in between."""
    return tuple(origin.strip() for origin in text.split(",") if origin.strip())


def parse_root_path(text: str) -> str:
    """Return a path prefix as Starlette wants it: "" for none, else one slash in front and none behind."""
    stripped = text.strip("/")
    return f"/{stripped}" if stripped else ""
