"""Twenty objects get their Deployments at once, and are left in peace from then on."""

import json
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from tests.e2e import environment
from tests.e2e.classifiers import classifier, has, ingress, ready
from tests.e2e.cluster import Cluster, Object
from tests.e2e.sinks import MANAGED
from tools.terminal import run

NAMESPACE = "at-rest"
COUNT, SERVED = 20, 2
APPLIED_WITHIN = 10
REST = 60
AUDIT_LOG = "/var/log/kubernetes/audit.log"


@pytest.fixture(scope="module")
def applied(operator: Cluster, chart_values: list[str]) -> Iterator[float]:
    """Apply 20 objects, two of them with pods and a route; yield the seconds until all had their Deployments."""
    environment.uninstall_every_operator(operator)
    with environment.a_namespace(operator, NAMESPACE):
        environment.install_namespaced_operator(operator, NAMESPACE, *chart_values)
        served = [classifier(f"c{n}", NAMESPACE, route=ingress(f"c{n}", NAMESPACE)) for n in range(SERVED)]
        idle = [classifier(f"c{n}", NAMESPACE, replicas=0, topK=n, **MANAGED) for n in range(SERVED, COUNT)]
        started = time.monotonic()
        operator.apply(*served, *idle)
        for n in range(COUNT):
            operator.until("deployments", NAMESPACE, f"c{n}", lambda found: found is not None)
        yield time.monotonic() - started


def test_twenty_objects_applied_at_once_all_have_their_deployments_soon(applied: float) -> None:
    assert applied <= APPLIED_WITHIN


@pytest.mark.usefixtures("applied")
def test_nothing_is_written_when_nothing_changes(cluster: Cluster) -> None:
    for n in range(COUNT):
        said = ready if n < SERVED else has("Ready", "False", "ScaledToZero")
        cluster.until("imageclassifiers", NAMESPACE, f"c{n}", said)
    for n in range(SERVED):
        cluster.until("imageclassifiers", NAMESPACE, f"c{n}", has("RouteReady", "True"))
        cluster.until("imageclassifiers", NAMESPACE, f"c{n}", has("Progressing", "True"))
    assert writes(since=""), "the audit log has nothing of what was written before"
    since = datetime.now(UTC).isoformat()
    # What is measured is a length of time.
    threading.Event().wait(REST)
    assert not writes(since)
    assert ready(cluster.get("imageclassifiers", NAMESPACE, "c0"))


def writes(since: str) -> list[Object]:
    """Return what the operator's service account asked to change since then, no-ops and dry runs included."""
    lines = run("docker", "exec", environment.NODE, "cat", AUDIT_LOG).splitlines()
    user = f"system:serviceaccount:{NAMESPACE}:{environment.OPERATOR}"
    mine = (event for event in map(json.loads, lines) if event["user"]["username"] == user)
    return [
        {key: event.get(key) for key in ("verb", "requestURI", "requestReceivedTimestamp")}
        for event in mine
        if event["requestReceivedTimestamp"] > since
    ]
