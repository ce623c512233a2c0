"""Runs that were deleted leave MLflow's database, in time, with all that they hold."""

import json
import threading
import time

from tests.e2e.cluster import Cluster
from tests.e2e.sinks import MLFLOW, ask_mlflow, await_sinks, list_objects, run_in_mlflow
from tests.e2e.test_managed_sinks import idle

COLLECTED_WITHIN = 120
DAY = 86_400_000
PREDATE = """
import sqlite3
def predate(run_id, milliseconds):
    with sqlite3.connect("/data/mlflow.db") as database:
        changed = "UPDATE runs SET deleted_time = deleted_time - ? WHERE run_uuid = ?"
        return database.execute(changed, (milliseconds, run_id)).rowcount
"""


def make_deleted_run(cluster: Cluster, namespace: str) -> str:
    """Make a run that holds a file, and delete it; return its id."""
    run = ask_mlflow(cluster, namespace, "runs/create", {"experiment_id": "0"})["run"]["info"]
    key = run["artifact_uri"].removeprefix("s3://mlflow/") + "/file"
    run_in_mlflow(cluster, namespace, f'store.put_object(Bucket="mlflow", Key={key!r}, Body=b"x"); print(1)')
    ask_mlflow(cluster, namespace, "runs/delete", {"run_id": run["run_id"]})
    return str(run["run_id"])


def predate_deletion(cluster: Cluster, namespace: str, run_id: str, days: int) -> None:
    """Have it that the run was deleted so many days earlier."""
    assert run_in_mlflow(cluster, namespace, f"{PREDATE}print(predate({run_id!r}, {days * DAY}))") == 1


def list_runs(cluster: Cluster, namespace: str) -> set[str]:
    """Return the ids of the runs in the default experiment, the deleted ones too."""
    wanted = {"experiment_ids": ["0"], "run_view_type": "ALL"}
    found = ask_mlflow(cluster, namespace, "runs/search", wanted)
    return {run["info"]["run_id"] for run in found.get("runs", [])}


def test_what_was_deleted_a_week_ago_goes_for_good_and_what_was_since_can_be_restored(
    operator: Cluster, namespace: str
) -> None:
    operator.apply(idle("photos", namespace))
    await_sinks(operator, namespace)
    old, recent = (make_deleted_run(operator, namespace) for _ in range(2))
    predate_deletion(operator, namespace, old, 8)
    predate_deletion(operator, namespace, recent, 6)
    assert list_runs(operator, namespace) == {old, recent}
    end_the_wait = "kill $(cat /proc/1/task/1/children)"
    operator.kubectl("-n", namespace, "exec", f"{MLFLOW}-0", "-c", "gc", "--", "sh", "-c", end_the_wait)
    deadline = time.monotonic() + COLLECTED_WITHIN
    while list_runs(operator, namespace) != {recent}:
        said = operator.kubectl("-n", namespace, "logs", f"{MLFLOW}-0", "-c", "gc")
        assert time.monotonic() < deadline, said
        # MLflow can't be watched.
        threading.Event().wait(1)
    objects = json.dumps(list_objects(operator, namespace))
    assert recent in objects
    assert old not in objects
