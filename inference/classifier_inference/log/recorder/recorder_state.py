"""How a recorder is doing: `recorder.json` in its server's folder, which the server passes on."""

from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from classifier_inference.report.sink_state import SinkStates

FILE = "recorder.json"


class Backlog(BaseModel):
    """Sealed windows that wait to be shipped."""

    model_config = ConfigDict(frozen=True)

    windows: int = 0
    bytes: int = 0
    oldest: datetime | None = None
    """When the oldest of them began."""


class Shipped(BaseModel):
    """What was shipped since the folder was made."""

    model_config = ConfigDict(frozen=True)

    windows: int = 0
    records: int = 0
    images: int = 0


class RecorderState(SinkStates):
    """What a recorder says of itself, every few seconds."""

    time: datetime
    """When it was said: a recorder that is gone says nothing new."""
    backlog: Backlog = Backlog()
    shipped: Shipped = Shipped()


def read_state(folder: Path) -> RecorderState | None:
    """Return what the recorder of a server's folder said last, or None if it has said nothing yet."""
    try:
        return RecorderState.model_validate_json((folder / FILE).read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


def write_state(folder: Path, state: RecorderState) -> None:
    """Say it; who reads meanwhile sees the old state or the new one."""
    part = folder / f".{FILE}.part"
    part.write_text(state.model_dump_json())
    part.replace(folder / FILE)
