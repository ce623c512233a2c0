"""Twenty objects get their Deployments at once, and are left in peace from then on."""

import json
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from tests.e2e import environment
from tests.e2e.classifiers import classifier, condition, has, ingress, ready
from tests.e2e.cluster import Cluster, Object
from tools.terminal import run

COUNT = 20
APPLIED_WITHIN = 10
REST = 60
AUDIT_LOG = "/var/log/kubernetes/audit.log"


@pytest.fixture(scope="module")
def applied(operator: Cluster) -> Iterator[tuple[str, float]]:
    """A namespace with 20 objects, two of them with pods and a route; and the seconds until all had Deployments."""
    name = "at-rest"
    environment.create_namespace(operator, name)
    served = [classifier(f"c{n}", name, route=ingress(f"c{n}", name)) for n in range(2)]
    idle = [classifier(f"c{n}", name, replicas=0, topK=n) for n in range(2, COUNT)]
    started = time.monotonic()
    operator.apply(*served, *idle)
    for each in (*served, *idle):
        operator.until("deployments", name, each["metadata"]["name"], lambda found: found is not None)
    yield name, time.monotonic() - started
    operator.kubectl("delete", "namespace", name, "--wait=false")


def test_twenty_objects_applied_at_once_all_have_their_deployments_soon(applied: tuple[str, float]) -> None:
    _, seconds = applied
    assert seconds <= APPLIED_WITHIN


def test_nothing_is_written_when_nothing_changes(operator: Cluster, applied: tuple[str, float]) -> None:
    namespace, _ = applied
    for n in range(COUNT):
        said = ready if n < 2 else has("Ready", "False", "ScaledToZero")
        operator.until("imageclassifiers", namespace, f"c{n}", said)
    for n in range(2):
        operator.until("imageclassifiers", namespace, f"c{n}", has("RouteReady", "True"))
        operator.until("imageclassifiers", namespace, f"c{n}", has("Progressing", "True"))
    since = datetime.now(UTC).isoformat()
    # What is measured is a length of time.
    threading.Event().wait(REST)
    assert not writes(since)
    assert condition(operator.get("imageclassifiers", namespace, "c0"), "Ready")["status"] == "True"


def writes(since: str) -> list[Object]:
    """Return what the operator's service account asked to change since then, no-ops and dry runs included."""
    lines = run("docker", "exec", environment.NODE, "cat", AUDIT_LOG).splitlines()
    user = f"system:serviceaccount:{environment.SYSTEM}:{environment.OPERATOR}"
    mine = (event for event in map(json.loads, lines) if event["user"]["username"] == user)
    assert lines, "no audit log"
    return [
        {key: event.get(key) for key in ("verb", "requestURI", "requestReceivedTimestamp")}
        for event in mine
        if event["requestReceivedTimestamp"] > since
    ]
