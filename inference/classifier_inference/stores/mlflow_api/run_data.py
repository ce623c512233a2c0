"""What MLflow's REST API tells and takes. No I/O."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

FINISHED = "FINISHED"
FAILED = "FAILED"


@dataclass(frozen=True)
class Run:
    """A run, as MLflow tells it; times in milliseconds since 1970."""

    run_id: str
    experiment_id: str
    name: str
    status: str
    active: bool
    artifact_uri: str
    start_ms: int
    end_ms: int | None
    params: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Artifact:
    """A file or folder among a run's artifacts, its path from their root."""

    path: str
    is_folder: bool
    bytes: int | None


@dataclass(frozen=True)
class Experiment:
    """What runs belong to."""

    id: str
    stage: str
    """Its stage of life: active or deleted."""


def to_ms(time: datetime) -> int:
    """Return a time as MLflow counts it: milliseconds since 1970."""
    return int(time.timestamp() * 1000)


def pairs(values: Mapping[str, str]) -> list[dict[str, str]]:
    """Return tags or params as MLflow takes them."""
    return [{"key": key, "value": value} for key, value in values.items()]


def parse_run(run: Mapping[str, Any]) -> Run:
    """Return a run of the API's JSON."""
    info, data = run["info"], run.get("data", {})
    return Run(
        run_id=info["run_id"],
        experiment_id=info["experiment_id"],
        name=info.get("run_name", ""),
        status=info["status"],
        active=info.get("lifecycle_stage") == "active",
        artifact_uri=info["artifact_uri"],
        start_ms=int(info["start_time"]),
        end_ms=int(info["end_time"]) if info.get("end_time") else None,
        params=_collect(data.get("params", [])),
        metrics=_collect(data.get("metrics", [])),
        tags=_collect(data.get("tags", [])),
    )


def parse_runs(answer: Mapping[str, Any]) -> tuple[list[Run], str | None]:
    """Return a page of runs of the API's JSON, and by what the next one is asked for."""
    runs = [parse_run(run) for run in answer.get("runs", [])]
    return runs, (answer.get("next_page_token") or None) if runs else None


def parse_experiment(answer: Mapping[str, Any]) -> Experiment:
    """Return an experiment of the API's JSON."""
    found = answer["experiment"]
    return Experiment(str(found["experiment_id"]), found.get("lifecycle_stage", "active"))


def parse_artifacts(answer: Mapping[str, Any]) -> list[Artifact]:
    """Return a folder's artifacts of the API's JSON."""
    return [
        Artifact(file["path"], bool(file.get("is_dir")), int(file["file_size"]) if "file_size" in file else None)
        for file in answer.get("files", [])
    ]


def _collect(pairs: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    return {pair["key"]: pair.get("value", "") for pair in pairs}
