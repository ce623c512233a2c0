"""While MLflow and MinIO are away nothing is lost but what is counted as lost."""

from collections.abc import Iterator

import pytest

from tests.e2e.cluster import Cluster, Object
from tests.e2e.logged import Logged, shared_sinks, take_the_stores_away
from tests.e2e.sinks import start_sinks, stop_sinks

SECONDS, KILL_SECONDS = 20, 8
"""Minutes of it are a part of `make faults`."""


@pytest.fixture(scope="module")
def namespace(operator: Cluster) -> Iterator[str]:
    """A namespace with one MLflow and one MinIO for all tests of this file."""
    with shared_sinks(operator, "stores-away") as name:
        yield name


@pytest.fixture
def logged(request: pytest.FixtureRequest, operator: Cluster, namespace: str) -> Iterator[Logged]:
    """A test's own object, which goes when the test ends."""
    own = Logged(operator, namespace, f"t{abs(hash(request.node.name)) % 10**8}")
    yield own
    own.delete()


def test_no_request_fails_and_none_is_lost_while_the_stores_are_away_and_the_recorder_is_killed(
    logged: Logged,
) -> None:
    take_the_stores_away(logged, SECONDS, KILL_SECONDS)


def test_what_ends_unshipped_with_a_pod_is_counted_and_told(logged: Logged) -> None:
    logged.start(predictionLog={"shipTime": "1s"})
    stop_sinks(logged.cluster, logged.namespace)
    try:
        logged.predict(4)
        logged.delete_pod()
        found = logged.until(lambda now: bool(now and now["status"].get("log")))
    finally:
        start_sinks(logged.cluster, logged.namespace)
    assert found["status"]["log"]["lost"] == {"predictions": 4, "images": 4}
    events = logged.cluster.find("events", logged.namespace)
    (event,) = [each for each in events if each["reason"] == "PredictionsLost"]
    assert event["involvedObject"]["name"] == logged.name


def test_what_a_volume_holds_is_shipped_by_the_next_pod(logged: Logged) -> None:
    logged.cluster.apply(claim(logged, "ReadWriteOnce"))
    volume = {"shipTime": "1s", "volume": {"claim": logged.name}}
    logged.start(predictionLog=volume, rollout={"strategy": "Recreate"})
    stop_sinks(logged.cluster, logged.namespace)
    try:
        ids = logged.predict(4)
        logged.delete_pod()
        ids += logged.predict(2)
    finally:
        start_sinks(logged.cluster, logged.namespace)
    assert sorted(logged.await_logged(ids)) == sorted(ids)
    assert "log" not in logged.status


def claim(logged: Logged, *modes: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": logged.name, "namespace": logged.namespace},
        "spec": {"accessModes": [*modes], "resources": {"requests": {"storage": "100Mi"}}},
    }
