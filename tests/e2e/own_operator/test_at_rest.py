"""Objects that are as they should be are left in peace."""

import json
import threading
from datetime import UTC, datetime

from tests.e2e import environment
from tests.e2e.classifiers import classifier, has, ingress, ready
from tests.e2e.cluster import Cluster, Object
from tests.e2e.sinks import MANAGED, await_sinks
from tools.terminal import run

NAMESPACE = "at-rest"
COUNT, SERVED = 6, 2
REST = 45
"""Seconds: more than the operator takes between two looks at every object."""
AUDIT_LOG = "/var/log/kubernetes/audit.log"


def test_nothing_is_written_when_nothing_changes(no_wide_operator: Cluster, chart_values: list[str]) -> None:
    cluster = no_wide_operator
    with environment.a_namespace(cluster, NAMESPACE):
        environment.install_namespaced_operator(cluster, NAMESPACE, *chart_values)
        served = [classifier(f"c{n}", NAMESPACE, route=ingress(f"c{n}", NAMESPACE)) for n in range(SERVED)]
        idle = [classifier(f"c{n}", NAMESPACE, replicas=0, topK=n, **MANAGED) for n in range(SERVED, COUNT)]
        cluster.apply(*served, *idle)
        for n in range(COUNT):
            said = ready if n < SERVED else has("Ready", "False", "ScaledToZero")
            cluster.until("imageclassifiers", NAMESPACE, f"c{n}", said)
        for n in range(SERVED):
            cluster.until("imageclassifiers", NAMESPACE, f"c{n}", has("RouteReady", "True"))
            cluster.until("imageclassifiers", NAMESPACE, f"c{n}", has("Progressing", "True"))
        await_sinks(cluster, NAMESPACE)
        assert writes("", NAMESPACE), "the audit log has nothing of what was written before"
        since = datetime.now(UTC).isoformat()
        # What is measured is a length of time.
        threading.Event().wait(REST)
        assert not writes(since, NAMESPACE)
        assert ready(cluster.get("imageclassifiers", NAMESPACE, "c0"))


def writes(since: str, namespace: str) -> list[Object]:
    """Return what the service account of a namespace's operator asked to change since then, no-ops included."""
    lines = run("docker", "exec", environment.NODE, "cat", AUDIT_LOG).splitlines()
    user = f"system:serviceaccount:{namespace}:{environment.OPERATOR}"
    mine = (event for event in map(json.loads, lines) if event["user"]["username"] == user)
    return [
        {key: event.get(key) for key in ("verb", "requestURI", "requestReceivedTimestamp")}
        for event in mine
        if event["requestReceivedTimestamp"] > since
    ]
