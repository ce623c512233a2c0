"""What is answered is in the log: once, or counted as lost."""

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.e2e import environment
from tests.e2e.classifiers import classifier, condition, has, host, ingress, is_ready, merged, picture, ready
from tests.e2e.cluster import Cluster, Object
from tests.e2e.load import Load
from tests.e2e.sinks import (
    MANAGED,
    MINIO,
    MLFLOW,
    await_logged,
    await_sinks,
    list_objects,
    search_runs,
    start_sinks,
    stop_sinks,
)
from tests.integration.prediction_log.stores import wait_until

NAMESPACE = "prediction-log"
OUTAGE_SECONDS = float(os.environ.get("E2E_SINKS_AWAY_SECONDS", "180"))
KILL_SECONDS = 10
LOG = {"window": "5s"}
KILL_RECORDER = (
    "import os, signal; [os.kill(int(p), signal.SIGKILL) for p in open('/proc/1/task/1/children').read().split()]"
)


@pytest.fixture(scope="module")
def sinks(operator: Cluster) -> Iterator[Cluster]:
    """The cluster, with one MLflow and one MinIO for all tests of this file."""
    environment.create_namespace(operator, NAMESPACE)
    operator.apply(classifier("keeper", NAMESPACE, replicas=0, **MANAGED))
    await_sinks(operator, NAMESPACE)
    yield operator
    operator.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


@pytest.fixture
def name(request: pytest.FixtureRequest, sinks: Cluster) -> Iterator[str]:
    """The name of a test's own object, which goes when the test ends."""
    own = f"t{abs(hash(request.node.name)) % 10**8}"
    yield own
    sinks.kubectl("-n", NAMESPACE, "delete", f"ic/{own}", "--ignore-not-found", "--wait=false")


def start(cluster: Cluster, name: str, **spec: object) -> None:
    """Apply an object that logs, and wait until it is ready."""
    wanted = merged({**MANAGED, "predictionLog": LOG, "route": ingress(name, NAMESPACE)}, dict(spec))
    cluster.apply(classifier(name, NAMESPACE, **wanted))
    cluster.until("imageclassifiers", NAMESPACE, name, ready, within=90)


def predict(cluster: Cluster, name: str, count: int = 1) -> list[str]:
    """Classify some pictures; return the request ids."""
    return [cluster.predict(NAMESPACE, name, picture("red"))["request_id"] for _ in range(count)]


def load(name: str) -> Load:
    return Load(f"{environment.INGRESS}/api/v1/predict", host(name, NAMESPACE), picture("red"))


def pods_of(name: str) -> str:
    return f"imageclassifier.dev/classifier={name}"


def delete_pod(cluster: Cluster, name: str) -> None:
    """Delete the object's one pod, and wait until it is gone and the Service leads to its successor."""
    (pod,) = cluster.find("pods", NAMESPACE, pods_of(name))
    cluster.kubectl("-n", NAMESPACE, "delete", f"pod/{pod['metadata']['name']}")
    cluster.until_some("pods", NAMESPACE, pods_of(name), is_ready, within=90)
    wait_until(lambda: cluster.leads_to_a_pod(NAMESPACE, name), "an endpoint")


def test_predictions_arrive_with_their_images_and_the_conditions_say_so(sinks: Cluster, name: str) -> None:
    start(sinks, name)
    for kind in ("TrackingReady", "StorageReady"):
        sinks.until("imageclassifiers", NAMESPACE, name, has(kind, "True", "Logging"), within=60)
    ids = predict(sinks, name, 3)
    assert sorted(await_logged(sinks, NAMESPACE, name, ids)) == sorted(ids)
    run = search_runs(sinks, NAMESPACE, name)[0]
    assert run["info"]["status"] == "FINISHED"
    tags = {tag["key"]: tag["value"] for tag in run["data"]["tags"]}
    assert tags["imageclassifier.window"]
    root = run["info"]["artifact_uri"].removeprefix("s3://mlflow/")
    assert {f"{root}/predictions.parquet", f"{root}/images.tar"} <= set(list_objects(sinks, NAMESPACE))


def test_what_a_pod_answered_before_it_ends_is_shipped_by_its_recorder(sinks: Cluster, name: str) -> None:
    start(sinks, name, predictionLog={"window": "1h"})
    ids = predict(sinks, name, 5)
    delete_pod(sinks, name)
    assert sorted(await_logged(sinks, NAMESPACE, name, ids, within=5)) == sorted(ids)
    assert "log" not in (sinks.get("imageclassifiers", NAMESPACE, name) or {})["status"]


@contextmanager
def killed_recorders(cluster: Cluster, name: str, seconds: float) -> Iterator[list[str]]:
    """Kill the recorder of every pod by SIGKILL now and then while the block runs; yield what was killed."""
    killed: list[str] = []
    ended = threading.Event()

    def kill_on() -> None:
        while not ended.wait(seconds):
            for pod in cluster.find("pods", NAMESPACE, pods_of(name)):
                command = ["exec", pod["metadata"]["name"], "-c", "recorder", "--", "python", "-c", KILL_RECORDER]
                cluster.run("kubectl", "-n", NAMESPACE, *command)
                killed.append(pod["metadata"]["name"])

    thread = threading.Thread(target=kill_on)
    thread.start()
    try:
        yield killed
    finally:
        ended.set()
        thread.join()


def test_no_request_fails_and_none_is_lost_while_the_stores_are_away_and_the_recorder_is_killed(
    sinks: Cluster, name: str
) -> None:
    start(sinks, name)
    sinks.until("imageclassifiers", NAMESPACE, name, has("RouteReady", "True"), within=20)
    with load(name) as sent:
        threading.Event().wait(OUTAGE_SECONDS / 6)
        before = len(sent.seconds)
        stop_sinks(sinks, NAMESPACE)
        with killed_recorders(sinks, name, KILL_SECONDS) as killed:
            # What is measured is a length of time.
            threading.Event().wait(OUTAGE_SECONDS)
            away = len(sent.seconds)
            told = condition(sinks.get("imageclassifiers", NAMESPACE, name), "TrackingReady")
            start_sinks(sinks, NAMESPACE)
            threading.Event().wait(2 * KILL_SECONDS)
    assert sent.failures == []
    assert killed
    # A recorder that has just begun has nothing to say yet.
    assert told["status"] != "True"
    logged = await_logged(sinks, NAMESPACE, name, sent.ids, within=180)
    assert len(logged) == len(set(logged))
    # Those that went before, until the route was known.
    assert len(set(logged) - set(sent.ids)) <= 2
    print_percentiles(sent.seconds[:before], sent.seconds[before:away])
    sinks.until("imageclassifiers", NAMESPACE, name, has("TrackingReady", "True"), within=60)


def print_percentiles(before: list[float], away: list[float]) -> None:
    ratio = percentile(away, 0.99) / percentile(before, 0.99)
    print(f"\np99 with the stores away: {ratio:.2f} of that before, {len(away)} and {len(before)} requests")  # noqa: T201


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[int(share * (len(values) - 1))]


def test_what_ends_unshipped_with_a_pod_is_counted_and_told(sinks: Cluster, name: str) -> None:
    start(sinks, name, predictionLog={"shipTime": "1s"})
    stop_sinks(sinks, NAMESPACE)
    try:
        predict(sinks, name, 4)
        delete_pod(sinks, name)
        found = sinks.until("imageclassifiers", NAMESPACE, name, lambda now: bool(now and now["status"].get("log")))
    finally:
        start_sinks(sinks, NAMESPACE)
    assert found is not None
    assert found["status"]["log"]["lost"] == {"predictions": 4, "images": 4}
    events = sinks.find("events", NAMESPACE)
    (event,) = [each for each in events if each["reason"] == "PredictionsLost"]
    assert event["involvedObject"]["name"] == name


def claim(name: str, *modes: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"accessModes": [*modes], "resources": {"requests": {"storage": "100Mi"}}},
    }


def test_what_a_volume_holds_is_shipped_by_the_next_pod(sinks: Cluster, name: str) -> None:
    sinks.apply(claim(name, "ReadWriteOnce"))
    start(sinks, name, predictionLog={"shipTime": "1s", "volume": {"claim": name}}, rollout={"strategy": "Recreate"})
    stop_sinks(sinks, NAMESPACE)
    try:
        ids = predict(sinks, name, 4)
        delete_pod(sinks, name)
        ids += predict(sinks, name, 2)
    finally:
        start_sinks(sinks, NAMESPACE)
    assert sorted(await_logged(sinks, NAMESPACE, name, ids, within=90)) == sorted(ids)
    assert "log" not in (sinks.get("imageclassifiers", NAMESPACE, name) or {})["status"]


def test_a_volume_that_is_missing_or_can_not_be_shared_is_told(sinks: Cluster, name: str) -> None:
    log = {**MANAGED, "predictionLog": {**LOG, "volume": {"claim": name}}}
    sinks.apply(classifier(name, NAMESPACE, replicas=2, **log))
    sinks.until("imageclassifiers", NAMESPACE, name, has("Ready", "False", "VolumeNotFound"), within=20)
    sinks.apply(claim(name, "ReadWriteOnce"))
    found = sinks.until("imageclassifiers", NAMESPACE, name, has("Ready", "False", "VolumeNotShareable"), within=20)
    assert "ReadWriteMany" in condition(found, "Ready")["message"]
    sinks.patch("imageclassifiers", NAMESPACE, name, {"spec": {"replicas": 1}})
    sinks.until("imageclassifiers", NAMESPACE, name, ready, within=90)


KEYS = {"accessKeyId": "nobody", "secretAccessKey": "x" * 20}
OTHER = "other-server"
TRACKING = {"mode": "External", "uri": f"http://{MLFLOW}:5000"}
SAID = {"BucketNotFound": "The specified bucket does not exist"}
"""In the store's own words."""
STORE = {"mode": "External", "endpoint": "http://imageclassifier-minio:9000", "bucket": "mlflow", "secret": "keys"}


def test_stores_that_an_object_names_by_address_and_secret_take_what_is_logged(sinks: Cluster, name: str) -> None:
    external = {"tracking": TRACKING, "storage": {**STORE, "secret": MINIO}, "predictionLog": LOG}
    sinks.apply(classifier(name, NAMESPACE, **external))
    sinks.until("imageclassifiers", NAMESPACE, name, ready, within=90)
    ids = predict(sinks, name, 2)
    assert sorted(await_logged(sinks, NAMESPACE, name, ids)) == sorted(ids)
    for kind in ("TrackingReady", "StorageReady"):
        sinks.until("imageclassifiers", NAMESPACE, name, has(kind, "True", "Logging"), within=60)


@pytest.mark.parametrize(
    ("spec", "keys", "kind", "reason"),
    [
        ({"storage": STORE}, KEYS, "StorageReady", "Refused"),
        ({"storage": STORE}, {"accessKeyId": "nobody"}, "StorageReady", "CredentialsMissing"),
        ({"storage": {**STORE, "endpoint": "http://nowhere:9000"}}, KEYS, "StorageReady", "Unreachable"),
        ({"storage": {**STORE, "bucket": "missing", "secret": MINIO}}, None, "StorageReady", "BucketNotFound"),
        ({"tracking": {**TRACKING, "uri": f"http://{OTHER}"}}, None, "TrackingReady", "NotMLflow"),
        ({"tracking": {**TRACKING, "uri": "http://nowhere:5000"}}, None, "TrackingReady", "Unreachable"),
    ],
)
def test_a_store_that_takes_nothing_is_told_and_holds_nothing_up(
    sinks: Cluster, name: str, spec: Object, keys: dict[str, str] | None, kind: str, reason: str
) -> None:
    if keys is not None:
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": NAMESPACE}}
        sinks.apply({**secret, "stringData": keys})
        spec = {"storage": {**spec["storage"], "secret": name}}
    wanted = {"tracking": TRACKING, "predictionLog": {"window": "1s"}, **spec}
    if reason == "NotMLflow":
        sinks.apply(classifier(OTHER, NAMESPACE))
    sinks.apply(classifier(name, NAMESPACE, **wanted))
    sinks.until("imageclassifiers", NAMESPACE, name, ready, within=90)
    predict(sinks, name)
    found = sinks.until("imageclassifiers", NAMESPACE, name, has(kind, "False", reason), within=90)
    assert SAID.get(reason, "") in condition(found, kind)["message"] != "", json.dumps(found)
    assert ready(found)
