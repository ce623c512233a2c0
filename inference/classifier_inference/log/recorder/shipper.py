"""Ships the windows of a folder, oldest first, and keeps track of how the stores take it."""

import time
from collections.abc import Callable
from pathlib import Path

import structlog

from classifier_inference.log.recorder.owners import Owner
from classifier_inference.log.recorder.recorder_state import Shipped
from classifier_inference.log.recorder.unsure import SETTLED_SECONDS, Unsure
from classifier_inference.log.runs.retention import delete_half_made, delete_old_runs
from classifier_inference.log.runs.summary import name_experiment
from classifier_inference.log.runs.window_runs import Experiment, find_window_runs, ship_predictions, ship_window
from classifier_inference.log.sinks.artifact_store import ArtifactStore
from classifier_inference.log.sinks.fullness import judge_fullness, read_used_share
from classifier_inference.log.sinks.sink_failure import Sink, judge_failure
from classifier_inference.log.spool.windows import Window, delete_window, list_sealed
from classifier_inference.report.sink_state import SinkReason, SinkState
from classifier_inference.spec.classifier import Classifier
from classifier_inference.stores.mlflow_api.run_client import MlflowClient
from classifier_inference.stores.s3.objects import S3Store
from classifier_inference.stores.store_error import StoreError

PROBE_SECONDS = 30.0
"""How often a store is asked that nothing was shipped to."""

WORKS = SinkState(ready=True, reason=SinkReason.LOGGING, message="takes what is logged")

_log = structlog.get_logger("recorder")


class Shipper:
    """Ships to the stores that one classifier names. What goes wrong with a store is noted here and not raised."""

    def __init__(
        self, classifier: Classifier, mlflow: MlflowClient, s3: S3Store, unsure: Unsure, shipped: Shipped
    ) -> None:
        self._spec = classifier.spec
        self._experiment_name = name_experiment(classifier)
        self._mlflow = mlflow
        self._s3 = s3
        self._unsure = unsure
        self._experiment: Experiment | None = None
        self._heard_at = dict.fromkeys(Sink, float("-inf"))
        self._measured_at = float("-inf")
        self._fullness: SinkState | None = None
        self.away = False
        """Whether a store was away when a folder was shipped last; one that refuses a window alone is not."""
        self.shipped = shipped
        self.tracking = SinkState()
        self.storage = None if classifier.spec.storage.mode == "None" else SinkState()

    def ship_folder(self, folder: Path, owner: Owner, go_on: Callable[[], bool]) -> bool:
        """Ship a folder's sealed windows and delete them; return whether none is left."""
        self.away = False
        for window in list_sealed(folder):
            if not go_on():
                return False
            try:
                self._ship(window, owner)
            except StoreError as error:
                self._note(error, window)
                if not error.about_one:
                    self.away = True
                    return False
                self._experiment = None  # the next one may be taken
        return not list_sealed(folder)

    def settle_unsure(self, seconds: float = SETTLED_SECONDS) -> None:
        """See that windows have one run each whose making went unheard so many seconds ago."""
        try:
            for window_id in self._unsure.list_settled(seconds):
                find_window_runs(self._find_experiment(), window_id)
                self._unsure.settle(window_id)
        except StoreError as error:
            self._note(error)

    def delete_old_runs(self, owner: Owner, before: float) -> bool:
        """Delete runs that began before a time (Unix); return whether that could be done."""
        try:
            deleted = delete_old_runs(self._find_experiment(), owner.classifier, owner.namespace, int(before * 1000))
        except StoreError as error:
            self._note(error)
            return False
        if deleted:
            _log.info("deleted old runs", runs=deleted)
        return True

    def delete_half_made(self, owner: Owner) -> bool:
        """Delete runs that servers began and never finished; return whether that could be done."""
        try:
            if self._mlflow.find_experiment(self._experiment_name) is None:
                return True
            now_ms = int(time.time() * 1000)
            deleted = delete_half_made(self._find_experiment(), owner.classifier, owner.namespace, now_ms)
        except StoreError as error:
            self._note(error)
            return False
        if deleted:
            _log.info("deleted runs that were never finished", runs=deleted)
        return True

    def probe(self) -> None:
        """Ask the stores that have not been heard of for a while."""
        due = time.monotonic() - PROBE_SECONDS
        bucket = self._spec.storage.bucket
        try:
            if self._heard_at[Sink.TRACKING] < due:
                self._experiment = None
                self._mlflow.find_experiment(self._experiment_name)
                self._note_success(Sink.TRACKING)
        except StoreError as error:
            self._note(error)
        try:
            if self.storage is not None and bucket is not None and self._heard_at[Sink.STORAGE] < due:
                self._s3.probe(bucket)
                self._note_success(Sink.STORAGE)
        except StoreError as error:
            self._note(error)
        self._measure(due)

    def _measure(self, due: float) -> None:
        """See how full the store is, if it says so."""
        endpoint = self._spec.storage.endpoint
        if self.storage is None or not self.storage.ready or endpoint is None or self._measured_at >= due:
            return
        self._measured_at = time.monotonic()
        self._fullness = judge_fullness(read_used_share(endpoint, self._s3.trust))
        self.storage = self._fullness or WORKS

    def _ship(self, window: Window, owner: Owner) -> None:
        experiment = self._find_experiment()
        was_unsure = window.id in self._unsure

        def before_create() -> None:
            if not was_unsure:
                self._unsure.add(window.id)

        ship = ship_predictions if self._spec.prediction_log.runs == "prediction" else ship_window
        counted = ship(experiment, window, owner.preprocess, before_create)
        delete_window(window)
        if not was_unsure:
            self._unsure.settle(window.id)
        self.shipped = Shipped(
            windows=self.shipped.windows + 1,
            records=self.shipped.records + counted.records,
            images=self.shipped.images + counted.images,
        )
        self._note_success(Sink.TRACKING)
        _log.info("shipped", window=window.id, records=counted.records, images=counted.images)

    def _find_experiment(self) -> Experiment:
        if self._experiment is None:
            experiment_id = self._mlflow.ensure_experiment(self._experiment_name)
            artifacts = ArtifactStore(self._mlflow, self._s3, lambda: self._note_success(Sink.STORAGE))
            self._experiment = Experiment(self._mlflow, artifacts, experiment_id)
        return self._experiment

    def _note(self, error: StoreError, window: Window | None = None) -> None:
        failure = judge_failure(error)
        state = SinkState(ready=False, reason=failure.reason, message=str(error))
        self._heard_at[failure.sink] = time.monotonic()
        if failure.sink is Sink.TRACKING:
            changed, self.tracking = state != self.tracking, state
        else:
            changed, self.storage = state != self.storage, state
        # A store may be away for hours: each way of failing is said once.
        if changed:
            _log.warning("not shipped", sink=failure.sink, why=str(error), window=window.id if window else None)

    def _note_success(self, sink: Sink) -> None:
        self._heard_at[sink] = time.monotonic()
        if sink is Sink.TRACKING:
            self.tracking = WORKS
        elif self.storage is not None:
            self.storage = self._fullness or WORKS
