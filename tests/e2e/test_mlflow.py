"""The MLflow and the MinIO that the operator runs: who they answer, what they keep, what their pages show."""

import base64
import json
import re
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.browser import find_chromium
from tests.e2e import environment
from tests.e2e.classifiers import classifier, picture, ready
from tests.e2e.cluster import Cluster, Object
from tests.e2e.load import ROUTED_WITHIN
from tests.e2e.logged import shared_sinks
from tests.e2e.sinks import (
    MANAGED,
    MINIO,
    MLFLOW,
    ask_mlflow,
    lead_to_mlflow,
    list_objects,
    run_in_mlflow,
    search_runs,
)

PATIENCE_MS = 30_000
COLLECTED_WITHIN = 120
DAY = 86_400_000
PREDATE = """
import sqlite3
def predate(run_id, milliseconds):
    with sqlite3.connect("/data/mlflow.db") as database:
        changed = "UPDATE runs SET deleted_time = deleted_time - ? WHERE run_uuid = ?"
        return database.execute(changed, (milliseconds, run_id)).rowcount
"""


@pytest.fixture(scope="module")
def namespace(operator: Cluster) -> Iterator[str]:
    """A namespace with one MLflow and one MinIO for all tests of this file."""
    with shared_sinks(operator, "mlflow") as name:
        yield name


def test_credentials_are_in_no_object_no_log_and_no_event(operator: Cluster, namespace: str) -> None:
    secret = operator.get("secrets", namespace, MINIO)
    assert secret is not None
    values = [base64.b64decode(value).decode() for value in secret["data"].values()]
    assert all(len(value) >= 20 for value in values)
    kinds = "ic,all,configmaps,persistentvolumeclaims,events,ingresses,controllerrevisions,endpointslices"
    said = [
        operator.kubectl("-n", namespace, "get", kinds, "-o", "json"),
        operator.kubectl("-n", environment.SYSTEM, "logs", f"deployment/{environment.OPERATOR}"),
        *(operator.kubectl("-n", namespace, "logs", f"{name}-0", "--all-containers") for name in (MLFLOW, MINIO)),
    ]
    assert not [value for value in values for text in said if value in text]


def test_mlflow_answers_by_its_service_s_name_and_by_its_ingresses_hosts_and_no_others(
    operator: Cluster, namespace: str
) -> None:
    own = lead_to_mlflow(operator, namespace)
    url, body = f"{environment.INGRESS}/ajax-api/2.0/mlflow/experiments/search", {"max_results": 5}
    origin = f"{own}:{environment.PORT}"
    said = await_ok(url, body, {"Host": origin, "Origin": f"http://{origin}"})
    assert [each["name"] for each in said["experiments"]] == ["Default"]
    page = httpx2.get(environment.INGRESS, headers={"Host": origin}, trust_env=False)
    assert "MLflow" in page.text
    elsewhere = {"Host": origin, "Origin": "http://elsewhere.test"}
    foreign = httpx2.post(url, json=body, headers=elsewhere, trust_env=False)
    assert foreign.status_code == 403
    by_other_names = """
seen = {}
for host in ("imageclassifier-mlflow:5000", "elsewhere.test"):
    request = urllib.request.Request("http://127.0.0.1:5000/", headers={"Host": host})
    try:
        seen[host] = urllib.request.urlopen(request).status
    except urllib.error.HTTPError as error:
        seen[host] = error.code
print(json.dumps(seen))
"""
    assert run_in_mlflow(operator, namespace, by_other_names) == {f"{MLFLOW}:5000": 200, "elsewhere.test": 403}


def await_ok(url: str, body: Object, headers: dict[str, str]) -> Object:
    """Return the ingress controller's first answer that isn't of its own making."""
    deadline = time.monotonic() + ROUTED_WITHIN
    while True:
        answer = httpx2.post(url, json=body, headers=headers, trust_env=False)
        if answer.status_code == 200:
            said: Object = answer.json()
            return said
        assert answer.status_code in {404, 502, 503}, answer.text
        assert time.monotonic() < deadline, answer.text
        # The controller can't be watched.
        threading.Event().wait(0.2)


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


def render(folder: Path, name: str, path: str) -> str:
    """Return the page's DOM once its scripts have run; a picture of it is left in the folder."""
    command = [
        find_chromium(), "--headless", "--no-sandbox", "--disable-gpu", "--window-size=1400,1000",
        f"--user-data-dir={folder / 'profile'}", f"--virtual-time-budget={PATIENCE_MS}",
        f"--host-resolver-rules=MAP {name} 127.0.0.1:{environment.PORT}",
        f"--screenshot={folder / 'page.png'}", "--dump-dom", f"http://{name}/{path}",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def await_run(cluster: Cluster, namespace: str) -> Object:
    """Return the first run that is finished."""
    deadline = time.monotonic() + 60
    while True:
        for run in search_runs(cluster, namespace, "photos"):
            if run["info"]["status"] == "FINISHED":
                return run
        assert time.monotonic() < deadline
        # MLflow can't be watched.
        threading.Event().wait(1)


def test_a_browser_sees_runs_their_artifacts_and_images_through_an_ingress(
    operator: Cluster, namespace: str, tmp_path: Path
) -> None:
    log = {"runs": "prediction", "window": "1s"}
    operator.apply(classifier("photos", namespace, **MANAGED, predictionLog=log))
    own = lead_to_mlflow(operator, namespace)
    operator.until("imageclassifiers", namespace, "photos", ready)
    operator.predict(namespace, "photos", picture("red"))
    run = await_run(operator, namespace)
    at = f"#/experiments/{run['info']['experiment_id']}"
    assert run["info"]["run_name"] in render(tmp_path, own, f"{at}/runs")
    artifacts = render(tmp_path, own, f"{at}/runs/{run['info']['run_id']}/artifacts")
    assert "input_images" in artifacts
    assert "prediction_results" in artifacts
    listed = ask_mlflow(operator, namespace, f"artifacts/list?run_id={run['info']['run_id']}&path=input_images")
    (image,) = listed["files"]
    preview = render(tmp_path, own, f"{at}/runs/{run['info']['run_id']}/artifacts/{image['path']}")
    assert re.search(r'<img[^>]+src="(blob:|data:image|[^"]*get-artifact)', preview)
