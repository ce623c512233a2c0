"""MLflow and MinIO as the tests ask them: by the API server's proxy, and by a pod of the namespace."""

import json
import threading
import time
from collections.abc import Iterable
from typing import Any

import yaml

from tests.e2e.classifiers import host
from tests.e2e.cluster import WITHIN, Cluster, Object
from tools.images import ROOT

MLFLOW, MINIO = "imageclassifier-mlflow", "imageclassifier-minio"
MANAGED = {"tracking": {"mode": "Managed"}, "storage": {"mode": "Managed"}}
INGRESS_SAMPLE = ROOT / "manifests" / "samples" / "mlflow-ingress.yaml"


def is_running(found: Object | None) -> bool:
    """Say whether a StatefulSet's one pod is ready."""
    return found is not None and found.get("status", {}).get("readyReplicas") == 1


def await_sinks(cluster: Cluster, namespace: str, *names: str) -> None:
    """Wait until the managed servers run: both, or those that are named."""
    for name in names or (MLFLOW, MINIO):
        cluster.until("statefulsets", namespace, name, is_running)


def run_in_mlflow(cluster: Cluster, namespace: str, script: str) -> Any:
    """Run Python in MLflow's pod, which has boto3 and the store's keys; return what it prints, read as JSON."""
    command = ["kubectl", "-n", namespace, "exec", "-i", f"{MLFLOW}-0", "-c", "mlflow", "--", "python", "-"]
    return json.loads(cluster.run(*command, stdin=_PREAMBLE + script + _END).stdout)


def ask_mlflow(cluster: Cluster, namespace: str, path: str, body: Object | None = None) -> Any:
    """Ask MLflow's REST API, in its own pod, by the Service's name; return its answer."""
    return run_in_mlflow(cluster, namespace, f"print(ask({path!r}, {json.dumps(json.dumps(body)) if body else None}))")


def search_runs(cluster: Cluster, namespace: str, experiment: str) -> list[Object]:
    """Return the active runs of an experiment; none where there is no such experiment."""
    script = f"""
name = urllib.parse.quote({experiment!r})
try:
    found = json.loads(ask("experiments/get-by-name?experiment_name=" + name))["experiment"]["experiment_id"]
    wanted = json.dumps({{"experiment_ids": [found], "max_results": 1000}})
    print(json.dumps(json.loads(ask("runs/search", wanted)).get("runs", [])))
except urllib.error.HTTPError as error:
    assert error.code == 404, error
    print("[]")
"""
    runs: list[Object] = run_in_mlflow(cluster, namespace, script)
    return runs


def read_logged_ids(cluster: Cluster, namespace: str, experiment: str) -> list[str]:
    """Return the request ids in the Parquet files of an experiment's active runs, as often as they are there."""
    roots = [run["info"]["artifact_uri"] for run in search_runs(cluster, namespace, experiment)]
    script = f"""
import io
import pyarrow.parquet
ids = []
for root in {roots!r}:
    key = root.removeprefix("s3://mlflow/") + "/predictions.parquet"
    try:
        content = store.get_object(Bucket="mlflow", Key=key)["Body"].read()
    except store.exceptions.NoSuchKey:
        continue
    ids += pyarrow.parquet.read_table(io.BytesIO(content))["request_id"].to_pylist()
print(json.dumps(ids, default=str))
"""
    ids: list[str] = run_in_mlflow(cluster, namespace, script)
    return ids


def await_logged(
    cluster: Cluster, namespace: str, experiment: str, wanted: Iterable[str], within: float = WITHIN
) -> list[str]:
    """Wait until all the request ids are logged; return all that are, as often as they are."""
    deadline = time.monotonic() + within
    while True:
        found = read_logged_ids(cluster, namespace, experiment)
        missing = set(wanted) - set(found)
        if not missing:
            return found
        assert time.monotonic() < deadline, f"{len(missing)} ids not logged within {within} s"
        # MLflow can't be watched.
        threading.Event().wait(1)


def lead_to_mlflow(cluster: Cluster, namespace: str) -> str:
    """Make the sample's Ingress for a host of the namespace's own, and wait until MLflow lets it in; return it."""
    sample = yaml.safe_load(INGRESS_SAMPLE.read_text())
    own = host("mlflow", namespace)
    sample["metadata"]["namespace"] = namespace
    sample["spec"]["rules"][0]["host"] = own
    cluster.apply(sample)
    cluster.until("statefulsets", namespace, MLFLOW, lambda found: own in json.dumps(found))
    cluster.kubectl("-n", namespace, "rollout", "status", f"statefulset/{MLFLOW}", f"--timeout={WITHIN}s")
    return own


def stop_sinks(cluster: Cluster, namespace: str) -> None:
    """Scale both servers to nothing, and wait until they are gone."""
    for name in (MLFLOW, MINIO):
        cluster.kubectl("-n", namespace, "scale", f"statefulset/{name}", "--replicas=0")
    cluster.until_none("pods", namespace, "imageclassifier.dev/shared")


def start_sinks(cluster: Cluster, namespace: str) -> None:
    """Scale both servers back to one."""
    for name in (MLFLOW, MINIO):
        cluster.kubectl("-n", namespace, "scale", f"statefulset/{name}", "--replicas=1")
    await_sinks(cluster, namespace)


def list_objects(cluster: Cluster, namespace: str) -> list[str]:
    """Return the keys in the bucket."""
    script = """
pages = store.get_paginator("list_objects_v2").paginate(Bucket="mlflow")
print(json.dumps([each["Key"] for page in pages for each in page.get("Contents", [])]))
"""
    keys: list[str] = run_in_mlflow(cluster, namespace, script)
    return keys


_END = """
# PyArrow's threads may abort a process that ends by itself.
sys.stdout.flush()
os._exit(0)
"""
_PREAMBLE = f"""
import json, os, sys, time, urllib.error, urllib.parse, urllib.request
import boto3
from botocore.config import Config
patient = Config(retries={{"mode": "standard", "total_max_attempts": 12}})
store = boto3.client("s3", endpoint_url=os.environ["MLFLOW_S3_ENDPOINT_URL"], config=patient)
def ask(path, body=None, method=None):
    url = "http://{MLFLOW}:5000/api/2.0/mlflow/" + path
    headers = {{"Content-Type": "application/json"}}
    asked = urllib.request.Request(url, body and body.encode(), headers, method=method)
    deadline = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(asked, timeout=60) as answer:
                return answer.read().decode()
        except urllib.error.URLError as error:
            # The node refuses connections to a Service until it has learnt of its pods.
            if not isinstance(error.reason, ConnectionRefusedError) or time.monotonic() > deadline:
                raise
            time.sleep(0.2)
"""
