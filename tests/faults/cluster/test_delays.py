"""How soon a failure is named."""

import pytest

from tests.e2e.classifiers import condition, has
from tests.e2e.cluster import Cluster, Event, Object, Recording
from tests.e2e.own_operator.test_failures import FAILURES, answering, served

__all__ = ["answering", "served"]


@pytest.mark.parametrize(("change", "reason"), [each[:2] for each in FAILURES.values()], ids=list(FAILURES))
def test_a_failure_is_named(
    cluster: Cluster, answering: str, figures: dict[str, str], change: Object, reason: str
) -> None:
    with cluster.record(answering, "pods", "imageclassifiers") as recording:
        cluster.patch("imageclassifiers", answering, "photos", {"spec": change})
        cluster.until("imageclassifiers", answering, "photos", has("Ready", "False", reason))
    delay = named(recording, reason).seen - first_sign(recording).seen
    figures["after its first sign"] = f"{delay:.1f} s"


def named(recording: Recording, reason: str) -> Event:
    return next(e for e in recording.of("imageclassifiers") if condition(e.object, "Ready").get("reason") == reason)


def first_sign(recording: Recording) -> Event:
    """Return the first event in which a pod that came with the change showed that something is wrong."""
    pods = recording.of("pods")
    there_before = {event.name for event in pods if event.seen == pods[0].seen}
    return next(event for event in pods if event.name not in there_before and shows_trouble(event.object))


def shows_trouble(pod: Object) -> bool:
    status = pod["status"]
    containers = [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]
    states = [each.get(key, {}) for each in containers for key in ("state", "lastState")]
    return (
        any(state.get("terminated", {}).get("exitCode", 0) != 0 for state in states)
        or any(state.get("waiting", {}).get("reason", "").startswith(("Err", "ImagePull")) for state in states)
        or any(each.get("reason") == "Unschedulable" for each in status.get("conditions", []))
    )
