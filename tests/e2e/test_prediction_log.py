"""What is answered is in the log, once; and a store that takes nothing is told."""

import json
from collections.abc import Iterator

import pytest

from tests.e2e.classifiers import classifier, condition, has, ready
from tests.e2e.cluster import Cluster, Object
from tests.e2e.logged import LOG, Logged, shared_sinks
from tests.e2e.sinks import MANAGED, MINIO, MLFLOW, list_objects, search_runs
from tests.e2e.test_stores_away import claim


@pytest.fixture(scope="module")
def namespace(operator: Cluster) -> Iterator[str]:
    """A namespace with one MLflow and one MinIO for all tests of this file."""
    with shared_sinks(operator, "prediction-log") as name:
        yield name


@pytest.fixture
def logged(request: pytest.FixtureRequest, operator: Cluster, namespace: str) -> Iterator[Logged]:
    """A test's own object, which goes when the test ends."""
    own = Logged(operator, namespace, f"t{abs(hash(request.node.name)) % 10**8}")
    yield own
    own.delete()


def test_predictions_arrive_with_their_images_and_the_conditions_say_so(logged: Logged) -> None:
    logged.start()
    for kind in ("TrackingReady", "StorageReady"):
        logged.until(has(kind, "True", "Logging"))
    ids = logged.predict(3)
    assert sorted(logged.await_logged(ids)) == sorted(ids)
    run = search_runs(logged.cluster, logged.namespace, logged.name)[0]
    assert run["info"]["status"] == "FINISHED"
    tags = {tag["key"]: tag["value"] for tag in run["data"]["tags"]}
    assert tags["imageclassifier.window"]
    root = run["info"]["artifact_uri"].removeprefix("s3://mlflow/")
    assert {f"{root}/predictions.parquet", f"{root}/images.tar"} <= set(list_objects(logged.cluster, logged.namespace))


def test_what_a_pod_answered_before_it_ends_is_shipped_by_its_recorder(logged: Logged) -> None:
    logged.start(predictionLog={"window": "1h"})
    ids = logged.predict(5)
    logged.delete_pod()
    assert sorted(logged.await_logged(ids)) == sorted(ids)
    assert "log" not in logged.status


def test_a_volume_that_is_missing_or_can_not_be_shared_is_told(logged: Logged) -> None:
    log = {**MANAGED, "predictionLog": {**LOG, "volume": {"claim": logged.name}}}
    logged.cluster.apply(classifier(logged.name, logged.namespace, replicas=2, **log))
    logged.until(has("Ready", "False", "VolumeNotFound"))
    logged.cluster.apply(claim(logged, "ReadWriteOnce"))
    found = logged.until(has("Ready", "False", "VolumeNotShareable"))
    assert "ReadWriteMany" in condition(found, "Ready")["message"]
    logged.cluster.patch("imageclassifiers", logged.namespace, logged.name, {"spec": {"replicas": 1}})
    logged.until(ready)


KEYS = {"accessKeyId": "nobody", "secretAccessKey": "x" * 20}
OTHER = "other-server"
TRACKING = {"mode": "External", "uri": f"http://{MLFLOW}:5000"}
SAID = {"BucketNotFound": "The specified bucket does not exist"}
"""In the store's own words."""
STORE = {"mode": "External", "endpoint": "http://imageclassifier-minio:9000", "bucket": "mlflow", "secret": "keys"}


def test_stores_that_an_object_names_by_address_and_secret_take_what_is_logged(logged: Logged) -> None:
    external = {"tracking": TRACKING, "storage": {**STORE, "secret": MINIO}, "predictionLog": LOG}
    logged.cluster.apply(classifier(logged.name, logged.namespace, **external))
    logged.until(ready)
    ids = logged.predict(2)
    assert sorted(logged.await_logged(ids)) == sorted(ids)
    for kind in ("TrackingReady", "StorageReady"):
        logged.until(has(kind, "True", "Logging"))


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
    logged: Logged, spec: Object, keys: dict[str, str] | None, kind: str, reason: str
) -> None:
    if keys is not None:
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": logged.name, "namespace": logged.namespace},
        }
        logged.cluster.apply({**secret, "stringData": keys})
        spec = {"storage": {**spec["storage"], "secret": logged.name}}
    wanted = {"tracking": TRACKING, "predictionLog": {"window": "1s"}, **spec}
    if reason == "NotMLflow":
        logged.cluster.apply(classifier(OTHER, logged.namespace))
    logged.cluster.apply(classifier(logged.name, logged.namespace, **wanted))
    logged.until(ready)
    logged.predict()
    found = logged.until(has(kind, "False", reason))
    assert SAID.get(reason, "") in condition(found, kind)["message"] != "", json.dumps(found)
    assert ready(found)
