"""Finds a prediction by its request id: in the spool while it waits there, else in MLflow.

A request id is a UUIDv7 and holds its time, which says in which windows its record can be.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from classifier_inference.log.record import Record, parse_record, read_milliseconds
from classifier_inference.log.runs.summary import TAG_REQUEST, TAG_WINDOW
from classifier_inference.log.sinks.artifact_store import ArtifactStore
from classifier_inference.log.spool.counters import read_counts
from classifier_inference.log.spool.windows import COUNTERS, list_folders, list_open, list_sealed
from classifier_inference.stores.mlflow_api.run_client import MlflowClient
from classifier_inference.stores.mlflow_api.run_data import FINISHED, Artifact, Run
from classifier_inference.stores.store_error import StoreError

LONGEST_WINDOW_SECONDS = 3600
"""An older revision's window may have been longer than this one's, but not than that."""

SLOWEST_SECONDS = 300
"""How long after its request id was given a prediction's record is written, at the latest."""

MOST_RUNS = 200
"""How many windows are looked through: as many pods may have had one at that time."""


@dataclass(frozen=True)
class Found:
    """A run, what it holds, and the row of the prediction that was asked for in it."""

    run: Run
    artifacts: list[Artifact] | None
    """None where MLflow can't list them."""
    row: dict[str, Any] | None = None


@dataclass(frozen=True)
class Waiting:
    """A prediction that was not shipped yet."""

    record: Record | None
    """None while the disk has not taken it."""


def find_in_spool(spool: Path, request_id: UUID) -> Waiting | None:
    """Return what a request waits as that was not shipped yet, whichever server of this spool answered it."""
    # Before the records are read: the disk may take it meanwhile.
    doubted = any(request_id in read_counts(folder / COUNTERS).in_doubt for folder in list_folders(spool))
    record = _find_record(spool, request_id)
    return Waiting(record) if record is not None or doubted else None


def _find_record(spool: Path, request_id: UUID) -> Record | None:
    while True:
        try:
            return next(
                (found for path in _list_records(spool, request_id) if (found := _read(path, request_id))), None
            )
        except FileNotFoundError:
            # Sealed since it was listed, under another name, or shipped and deleted: what is there now tells.
            continue


def _list_records(spool: Path, request_id: UUID) -> list[Path]:
    folders = list_folders(spool)
    opened = [path for folder in folders for path in list_open(folder)]
    sealed = [window.records for folder in folders for window in list_sealed(folder)]
    return [path for path in (*opened, *sealed) if _may_hold(path, read_milliseconds(request_id))]


def _read(path: Path, request_id: UUID) -> Record | None:
    wanted = str(request_id)
    with path.open("rb") as file:
        for line in file:
            if wanted.encode() in line and (record := parse_record(line)) and record.request_id == wanted:
                return record
    return None


def _may_hold(path: Path, milliseconds: int) -> bool:
    start = read_milliseconds(UUID(path.name.partition(".")[0]))
    return -LONGEST_WINDOW_SECONDS * 1000 <= start - milliseconds <= SLOWEST_SECONDS * 1000


def find_run(mlflow: MlflowClient, run_id: str) -> Found | None:
    """Return a run that was not deleted, or None. Raises StoreError."""
    run = mlflow.get_run(run_id)
    return Found(run, list_artifacts(mlflow, run)) if run is not None and run.active else None


def find_request(
    mlflow: MlflowClient, artifacts: ArtifactStore, experiment_id: str, window_seconds: float, request_id: UUID
) -> Found | None:
    """Return the run that a request is in, or None. Raises StoreError."""
    for run in mlflow.find_runs(experiment_id, f"tags.`{TAG_REQUEST}` = '{request_id}'", most=1):
        return Found(run, list_artifacts(mlflow, run))
    for run in _list_windows(mlflow, experiment_id, window_seconds, read_milliseconds(request_id)):
        row = _read_row(artifacts, run, request_id)
        if row is not None:
            return Found(run, list_artifacts(mlflow, run), row)
    return None


def list_artifacts(mlflow: MlflowClient, run: Run) -> list[Artifact] | None:
    """Return the files of a run, those in its folders too; None where MLflow can't list them."""
    try:
        found = mlflow.list_artifacts(run.run_id)
        inner = [mlflow.list_artifacts(run.run_id, folder.path) for folder in found if folder.is_folder]
    except StoreError:
        return None
    return [file for file in (*found, *(file for files in inner for file in files)) if not file.is_folder]


def _list_windows(mlflow: MlflowClient, experiment_id: str, window_seconds: float, milliseconds: int) -> Iterator[Run]:
    earliest = milliseconds - round(window_seconds * 1000) - 1000
    latest = milliseconds + SLOWEST_SECONDS * 1000
    wanted = f"attributes.start_time >= {earliest} and attributes.start_time <= {latest}"
    for run in mlflow.find_runs(experiment_id, wanted, MOST_RUNS, ["attributes.start_time ASC"]):
        # One that isn't finished is being shipped: its records are still in a spool.
        if TAG_WINDOW in run.tags and TAG_REQUEST not in run.tags and run.status == FINISHED:
            yield run


def _read_row(artifacts: ArtifactStore, run: Run, request_id: UUID) -> dict[str, Any] | None:
    # Arrow takes 60 MB, which a server that is never asked for a request need not have.
    import pyarrow as pa
    import pyarrow.parquet as pq

    from classifier_inference.log.runs.window_runs import PREDICTIONS

    try:
        content = artifacts.get(f"{run.artifact_uri}/{PREDICTIONS}")
    except StoreError as error:
        if not error.about_one:
            raise
        return None  # somebody deleted it
    rows = pq.read_table(pa.BufferReader(content), filters=[("request_id", "=", str(request_id))]).to_pylist()
    return rows[0] if rows else None
