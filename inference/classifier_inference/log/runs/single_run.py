"""A run for one prediction, made at once because somebody asked for it."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from classifier_inference.log.runs.run_files import (
    INPUT_IMAGES,
    confidence_metrics,
    render_result,
    result_name,
    safe_name,
)
from classifier_inference.log.runs.summary import (
    FROM_SERVER,
    TAG_CLASSIFIER,
    TAG_NAMESPACE,
    TAG_POD,
    TAG_SOURCE,
    render_request_tags,
)
from classifier_inference.log.sinks.artifact_store import ArtifactStore
from classifier_inference.stores.mlflow_api.run_client import MlflowClient
from classifier_inference.stores.mlflow_api.run_data import FAILED, Run, to_ms
from classifier_inference.stores.store_error import StoreError
from classifier_inference.telemetry.origin import Origin


@dataclass(frozen=True)
class Given:
    """A prediction that somebody wants logged."""

    request_id: str
    client_request_id: str | None
    time: datetime
    image: bytes
    image_name: str
    predictions: list[tuple[str, float]]
    """(label, confidence), best first."""
    params: Mapping[str, str]


def log_given(mlflow: MlflowClient, artifacts: ArtifactStore, experiment: str, origin: Origin, given: Given) -> Run:
    """Return the run made for a prediction. Raises StoreError, with nothing left of the run if that can be helped."""
    name = safe_name(given.image_name)
    tags = {
        TAG_CLASSIFIER: origin.classifier,
        TAG_NAMESPACE: origin.namespace,
        TAG_POD: origin.pod,
        TAG_SOURCE: FROM_SERVER,
        **render_request_tags(given.request_id, given.client_request_id),
    }
    run = mlflow.create_run(mlflow.ensure_experiment(experiment), name, to_ms(given.time), tags)
    facts = {"image": given.image_name, "time": given.time.isoformat(), "request": given.request_id, **given.params}
    try:
        artifacts.put(f"{run.artifact_uri}/{INPUT_IMAGES}/{name}", given.image)
        artifacts.put(f"{run.artifact_uri}/{result_name(given.time)}", render_result(facts, given.predictions).encode())
        mlflow.log_batch(run.run_id, to_ms(given.time), confidence_metrics(given.predictions), given.params)
        mlflow.end_run(run.run_id, to_ms(given.time))
    except StoreError:
        _take_back(mlflow, artifacts, run, given.time)
        raise
    return run


def _take_back(mlflow: MlflowClient, artifacts: ArtifactStore, run: Run, time: datetime) -> None:
    """Delete what was made of a run, objects first; where that fails, a recorder does it later (retention.py)."""
    try:
        artifacts.delete_folder(run.artifact_uri)
        mlflow.delete_run(run.run_id)
    except StoreError:
        with suppress(StoreError):
            mlflow.end_run(run.run_id, to_ms(time), FAILED)
