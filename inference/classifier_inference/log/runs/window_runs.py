"""Makes MLflow runs of what was logged: one a window, or one a prediction.

A run carries the id of its window as a tag, and is looked for by it before it is made. Who is killed, or hears no
answer, finds what it began; where one was made twice all the same, one is kept.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from classifier_inference.log.record import ImageRef, Record
from classifier_inference.log.runs.parquet import write_parquet
from classifier_inference.log.runs.run_files import (
    INPUT_IMAGES,
    confidence_metrics,
    render_result,
    result_name,
    safe_name,
)
from classifier_inference.log.runs.summary import (
    TAG_REQUEST,
    TAG_WINDOW,
    Summary,
    render_params,
    render_request_tags,
    render_tags,
    total_milliseconds,
)
from classifier_inference.log.sinks.artifact_store import ArtifactStore
from classifier_inference.log.spool.windows import Window, read_images, read_records
from classifier_inference.stores.mlflow_api.run_client import MlflowClient
from classifier_inference.stores.mlflow_api.run_data import FINISHED, Run, to_ms

IMAGES = "images.tar"
PREDICTIONS = "predictions.parquet"


@dataclass(frozen=True)
class Experiment:
    """Where runs go to."""

    mlflow: MlflowClient
    artifacts: ArtifactStore
    id: str


@dataclass(frozen=True)
class Counted:
    """What a window held."""

    records: int = 0
    images: int = 0


def find_window_runs(experiment: Experiment, window_id: str) -> dict[str, Run]:
    """Return the active runs of a window by the request they hold, or "" for the one that holds the window.

    Where something has several, one is kept, and the others are deleted.
    """
    kept: dict[str, Run] = {}
    for run in experiment.mlflow.find_runs(experiment.id, f"tags.`{TAG_WINDOW}` = '{window_id}'"):
        key = run.tags.get(TAG_REQUEST, "")
        rival = kept.get(key)
        best = run if rival is None else min(run, rival, key=lambda one: (one.status != FINISHED, one.run_id))
        kept[key] = best
        if rival is not None:
            experiment.mlflow.delete_run(rival.run_id if best is run else run.run_id)
    return kept


def ship_window(
    experiment: Experiment, window: Window, preprocess: Mapping[str, str], before_create: Callable[[], None]
) -> Counted:
    """Make the one run of a window, its artifacts first; doing it again changes nothing.

    `before_create` is called where no run was found, before one is made. Raises StoreError.
    """
    images = read_images(window.images)
    first = next(_read(window, images), None)
    if first is None:
        return Counted()
    summary = Summary()
    records = _add_up(_read(window, images), summary)
    run = find_window_runs(experiment, window.id).get("")
    if run is not None and run.status == FINISHED:
        return Counted(sum(1 for _ in records), summary.images)
    if run is None:
        before_create()
        run = experiment.mlflow.create_run(
            experiment.id,
            f"{first.classifier} {_start(window):%Y-%m-%d %H:%M:%S}",
            window.start_milliseconds,
            render_tags(first, window.id),
        )
    _put_window(experiment, window, run, records, has_images=bool(images))
    end_ms = to_ms(datetime.fromisoformat(summary.last_time or first.time))
    experiment.mlflow.log_batch(run.run_id, end_ms, summary.render_metrics(), render_params(first, preprocess))
    experiment.mlflow.end_run(run.run_id, max(end_ms, window.start_milliseconds))
    return Counted(summary.count, summary.images)


def _put_window(
    experiment: Experiment, window: Window, run: Run, records: Iterable[Record], *, has_images: bool
) -> None:
    key = f"{run.artifact_uri}/{IMAGES}"
    table = window.records.with_name(f"{window.id}.parquet")
    try:
        write_parquet(table, records, key)
        if has_images:
            experiment.artifacts.put(key, window.images)
        experiment.artifacts.put(f"{run.artifact_uri}/{PREDICTIONS}", table)
    finally:
        table.unlink(missing_ok=True)


def ship_predictions(
    experiment: Experiment, window: Window, preprocess: Mapping[str, str], before_create: Callable[[], None]
) -> Counted:
    """Make a run of each prediction of a window, as ship_window does of all of them."""
    images = read_images(window.images)
    runs = find_window_runs(experiment, window.id)
    if not runs:
        before_create()
    counted = Counted()
    for record in _read(window, images):
        counted = Counted(counted.records + 1, counted.images + (record.image_ref is not None))
        run = runs.get(record.request_id)
        if run is not None and run.status == FINISHED:
            continue
        answered = datetime.fromisoformat(record.time)
        if run is None:
            run = experiment.mlflow.create_run(
                experiment.id,
                safe_name(record.image.name, otherwise=record.request_id),
                to_ms(answered) - round(total_milliseconds(record)),
                {**render_tags(record, window.id), **render_request_tags(record.request_id, record.client_request_id)},
            )
        _fill(experiment, run, record, _read_image(window.images, record.image_ref), preprocess)
        experiment.mlflow.end_run(run.run_id, to_ms(answered))
    return counted


def _fill(experiment: Experiment, run: Run, record: Record, image: bytes | None, preprocess: Mapping[str, str]) -> None:
    predictions = [(found.label, found.confidence) for found in record.predictions]
    facts = {
        "image": record.image.name or "",
        "time": record.time,
        "request": record.request_id,
        "classifier": record.classifier,
        "model version": record.model.version,
        "model sha256": record.model.sha256,
    }
    if image is not None:
        name = safe_name(record.image.name, otherwise=f"{record.request_id}.{record.image.format}")
        experiment.artifacts.put(f"{run.artifact_uri}/{INPUT_IMAGES}/{name}", image)
    answered = datetime.fromisoformat(record.time)
    experiment.artifacts.put(f"{run.artifact_uri}/{result_name(answered)}", render_result(facts, predictions).encode())
    metrics = {"latency_ms": total_milliseconds(record), **confidence_metrics(predictions)}
    experiment.mlflow.log_batch(run.run_id, to_ms(answered), metrics, render_params(record, preprocess))


def _read(window: Window, images: Mapping[str, ImageRef]) -> Iterator[Record]:
    for record in read_records(window.records):
        yield replace(record, image_ref=images.get(record.request_id))


def _add_up(records: Iterable[Record], summary: Summary) -> Iterator[Record]:
    for record in records:
        summary.add(record)
        yield record


def _read_image(tar: Path, where: ImageRef | None) -> bytes | None:
    if where is None:
        return None
    with tar.open("rb") as file:
        file.seek(where.offset)
        return file.read(where.size)


def _start(window: Window) -> datetime:
    return datetime.fromtimestamp(window.start_milliseconds / 1000, tz=UTC)
