"""Deletes runs and what they hold in the store: those older than they are kept, and those never finished.

MLflow only marks a deleted run: `mlflow gc`, run beside its server, takes it out of the database.
"""

import structlog

from classifier_inference.log.runs.summary import FROM_SERVER, TAG_CLASSIFIER, TAG_NAMESPACE, TAG_SOURCE
from classifier_inference.log.runs.window_runs import Experiment
from classifier_inference.stores.mlflow_api.run_data import FINISHED
from classifier_inference.stores.store_error import StoreError

PAGE = 200
LONGEST_PAUSE_SECONDS = 3600.0
SHORTEST_PAUSE_SECONDS = 10.0
HALF_MADE_SECONDS = 600
"""Longer than a server works on a run that it was asked for: one that isn't finished by then never will be."""

_log = structlog.get_logger("retention")


def pause_seconds(retention_seconds: float) -> float:
    """Return how long to wait between looking for old runs."""
    return min(max(retention_seconds / 20, SHORTEST_PAUSE_SECONDS), LONGEST_PAUSE_SECONDS)


def delete_old_runs(experiment: Experiment, classifier: str, namespace: str, before_ms: int) -> int:
    """Delete a classifier's runs that began before a time, objects first; return how many. Raises StoreError."""
    return _delete_all(experiment, f"{_of(classifier, namespace)} and attributes.start_time < {before_ms}")


def delete_half_made(experiment: Experiment, classifier: str, namespace: str, now_ms: int) -> int:
    """Delete the runs that a server of a classifier began for somebody and could neither finish nor take back.

    Returns how many. Raises StoreError.
    """
    wanted = f"tags.`{TAG_SOURCE}` = '{FROM_SERVER}' and attributes.status != '{FINISHED}'"
    begun = f"attributes.start_time < {now_ms - HALF_MADE_SECONDS * 1000}"
    return _delete_all(experiment, f"{_of(classifier, namespace)} and {wanted} and {begun}")


def _of(classifier: str, namespace: str) -> str:
    return f"tags.`{TAG_CLASSIFIER}` = '{classifier}' and tags.`{TAG_NAMESPACE}` = '{namespace}'"


def _delete_all(experiment: Experiment, wanted: str) -> int:
    deleted = 0
    while True:
        # From the start each time: pages are counted from the first run that is left.
        page = list(experiment.mlflow.find_runs(experiment.id, wanted, PAGE, ["attributes.start_time ASC"]))
        gone = sum(_delete(experiment, run.run_id, run.artifact_uri) for run in page)
        deleted += gone
        if len(page) < PAGE or not gone:
            return deleted


def _delete(experiment: Experiment, run_id: str, artifact_uri: str) -> bool:
    try:
        experiment.artifacts.delete_folder(artifact_uri)
        experiment.mlflow.delete_run(run_id)
    except StoreError as error:
        if not error.about_one:
            raise
        _log.warning("a run can't be deleted", run=run_id, why=str(error))
        return False
    return True
