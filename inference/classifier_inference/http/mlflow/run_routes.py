"""MLflow's runs: making one for a prediction, and finding one by its id or by a request's."""

import re
import uuid
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import orjson
from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from classifier_inference.http.admission import Admission
from classifier_inference.http.body import read_body, too_many_bytes
from classifier_inference.http.exchange import Exchange, find_exchange
from classifier_inference.http.finding import Finder
from classifier_inference.http.json_body import parse_json
from classifier_inference.http.lifecycle import Lifecycle
from classifier_inference.http.mlflow.run_schemas import (
    MLflowLogResponse,
    MLflowRunResponse,
    PredictionLogRequest,
    RunArtifact,
)
from classifier_inference.http.problem import Kind, ProblemError, document_problems
from classifier_inference.images.sniff import sniff
from classifier_inference.log.runs import lookup
from classifier_inference.log.runs.lookup import Found, Waiting
from classifier_inference.log.runs.single_run import Given, log_given
from classifier_inference.log.runs.summary import render_preprocess
from classifier_inference.log.runs.tracker import Tracker
from classifier_inference.model.loaded_classifier import LoadedClassifier
from classifier_inference.stores.mlflow_api.run_client import MlflowClient
from classifier_inference.stores.mlflow_api.run_data import Run
from classifier_inference.stores.store_error import StoreError

if TYPE_CHECKING:
    from classifier_inference.log.sinks.artifact_store import ArtifactStore

RETRY_SECONDS = "5"
SPOOL_SECONDS = 10
"""How long looking through a large spool may take."""
JSON_BYTES = 2**20
"""What a request may have beside its image."""

_LOG_PROBLEMS = (
    Kind.MALFORMED_JSON, Kind.INVALID_INPUT, Kind.NOT_AN_IMAGE, Kind.TOO_MANY_BYTES, Kind.IMAGE_ROOT_UNSET,
    Kind.OUTSIDE_IMAGE_ROOT, Kind.NO_SUCH_IMAGE, Kind.UNUSABLE_PATH, Kind.NOT_READY,
    Kind.QUEUE_FULL, Kind.MEMORY_FULL, Kind.TOO_MUCH_MEMORY, Kind.REQUEST_TIMEOUT,
)  # fmt: skip
_SINK_PROBLEMS = (Kind.INTERNAL, Kind.NOT_TRACKED, Kind.TRACKING_REFUSED, Kind.TRACKING_AWAY)
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/PredictionLogRequest"}}},
    }
}
_RUN_ID = re.compile(r"[0-9a-f]{32}")


def make_router(
    tracker: Tracker | None, lifecycle: Lifecycle, admission: Admission, finder: Finder, window_seconds: float
) -> APIRouter:
    """Return the routes; `tracker`: None where there is no tracking."""
    router = APIRouter(tags=["tracking"], prefix="/api/v1/mlflow")

    @router.post(
        "/log-prediction",
        response_model=MLflowLogResponse,
        responses=document_problems(*_LOG_PROBLEMS, *_SINK_PROBLEMS),
        openapi_extra=_BODY,
        summary="Make a run of a prediction",
    )
    async def log_prediction(request: Request) -> Response:
        """Make an MLflow run of one prediction, at once: its image, its text, its params, a metric a confidence."""
        asked = _require(tracker)
        loaded = lifecycle.require_loaded()
        exchange = find_exchange(request.scope)
        with admission.admit() as (_, held):
            # Base64 takes four bytes for three.
            body = await read_body(request, loaded.spec.limits.bytes * 4 // 3 + JSON_BYTES, held)
            given = await run_in_threadpool(_read_given, finder, loaded, body, exchange)
        run = await _ask(asked, given)
        return _render(
            MLflowLogResponse(
                run_id=run.run_id,
                experiment_id=run.experiment_id,
                status="FINISHED",
                artifact_uri=run.artifact_uri,
                request_id=exchange.request_id,
            )
        )

    @router.get(
        "/runs/{run_id}",
        response_model=MLflowRunResponse,
        responses=document_problems(Kind.NO_SUCH_RUN, *_SINK_PROBLEMS),
        summary="Find a run",
    )
    async def get_run(run_id: str) -> Response:
        """Tell of a run by its id, or of the prediction and the run that a request id is in."""
        asked = _require(tracker)
        request_id = _parse_request_id(run_id)
        if request_id is None:
            return _render(await _find_run(asked, run_id))
        return _render(await _find_request(asked, window_seconds, request_id))

    return router


def _require(tracker: Tracker | None) -> Tracker:
    if tracker is None:
        raise ProblemError(Kind.NOT_TRACKED, "this classifier's tracking is None: there are no runs")
    return tracker


def _parse_request_id(text: str) -> uuid.UUID | None:
    """Return a request id; MLflow's own ids are UUIDs of another version."""
    try:
        found = uuid.UUID(text)
    except ValueError:
        return None
    return found if found.version == 7 else None


def _read_given(finder: Finder, loaded: LoadedClassifier, body: bytes, exchange: Exchange) -> Given:
    """Return the prediction that a request holds, its image read. Raises ProblemError."""
    asked = parse_json(body, PredictionLogRequest)
    limit = loaded.spec.limits.bytes
    image = asked.image if asked.image is not None else finder.read(asked.image_path or "")
    if len(image) > limit:
        raise too_many_bytes(limit)
    found = sniff(image).format
    if found is None:
        raise ProblemError(Kind.NOT_AN_IMAGE, "the bytes are not those of one")
    return Given(
        request_id=exchange.request_id,
        client_request_id=exchange.client_request_id,
        time=datetime.now(UTC),
        image=image,
        image_name=asked.artifact_name or PurePosixPath(asked.image_path or f"image.{found}").name,
        predictions=asked.predictions,
        params=_render_params(loaded, asked.model_version),
    )


def _render_params(loaded: LoadedClassifier, version: str | None) -> dict[str, str]:
    served = version is None or version == loaded.spec.model.version
    return {
        "classifier": loaded.name,
        "model_version": version or loaded.spec.model.version,
        # Of another version than the one that is served, we know no digest.
        **({"model_sha256": loaded.sha256} if served else {}),
        "device": loaded.spec.runtime.device,
        **render_preprocess(loaded.spec.preprocess),
    }


async def _ask(tracker: Tracker, given: Given) -> Run:
    settings = tracker.settings
    try:
        return await tracker.ask(
            lambda mlflow, artifacts: log_given(mlflow, artifacts, settings.experiment, settings.origin, given)
        )
    except StoreError as error:
        raise _explain(error) from None


async def _find_run(tracker: Tracker, run_id: str) -> MLflowRunResponse:
    def find(mlflow: MlflowClient, _: "ArtifactStore") -> Found | None:
        return lookup.find_run(mlflow, run_id)

    if not _RUN_ID.fullmatch(run_id):
        raise ProblemError(Kind.NO_SUCH_RUN, "this is neither a run's id nor a request's")
    try:
        found = await tracker.ask(find)
    except StoreError as error:
        raise _explain(error) from None
    if found is None:
        raise ProblemError(Kind.NO_SUCH_RUN, f"MLflow has no run {run_id}, or it was deleted")
    return _describe(found)


async def _find_request(tracker: Tracker, window_seconds: float, request_id: uuid.UUID) -> MLflowRunResponse:
    settings = tracker.settings

    def find(mlflow: MlflowClient, artifacts: "ArtifactStore") -> Found | None:
        experiment = mlflow.find_experiment(settings.experiment)
        if experiment is None:
            return None
        return lookup.find_request(mlflow, artifacts, experiment, window_seconds, request_id)

    def find_waiting() -> Waiting | None:
        return lookup.find_in_spool(settings.spool, request_id) if settings.spool is not None else None

    try:
        waiting = await tracker.run(find_waiting, SPOOL_SECONDS)
        if waiting is not None:
            record = asdict(waiting.record) if waiting.record is not None else None
            return MLflowRunResponse(state="pending", prediction=record)
        found = await tracker.ask(find)
    except StoreError as error:
        raise _explain(error) from None
    if found is None:
        raise ProblemError(
            Kind.NO_SUCH_RUN,
            "no run holds this request, nor does a spool that this server sees: another pod that answered it, with a "
            "spool of its own, may not have shipped it yet",
        )
    return _describe(found)


def _describe(found: Found) -> MLflowRunResponse:
    run = found.run
    artifacts = found.artifacts
    return MLflowRunResponse(
        state="logged",
        run_id=run.run_id,
        status=run.status,
        start_time=_to_time(run.start_ms),
        end_time=_to_time(run.end_ms) if run.end_ms is not None else None,
        params=run.params,
        metrics=run.metrics,
        tags=run.tags,
        artifacts=[RunArtifact(path=file.path, bytes=file.bytes) for file in artifacts]
        if artifacts is not None
        else None,
        prediction=found.row,
    )


def _to_time(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def _explain(error: StoreError) -> ProblemError:
    if error.about_one:
        return ProblemError(Kind.TRACKING_REFUSED, str(error))
    return ProblemError(Kind.TRACKING_AWAY, str(error), {"Retry-After": RETRY_SECONDS})


def _render(content: MLflowLogResponse | MLflowRunResponse) -> Response:
    return Response(orjson.dumps(content.model_dump()), media_type="application/json")
