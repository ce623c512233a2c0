"""How soon what is so is said."""

import pytest

from tests.e2e import environment
from tests.e2e.classifiers import condition, has, is_ready
from tests.e2e.cluster import Cluster, Event, Object, Recording
from tests.e2e.own_operator.test_failures import FAILURES, answering, served
from tests.e2e.test_rollout import readiness, record_two_changes, revision, revisions, runs

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


@pytest.mark.parametrize("strategy", ["RollingUpdate", "Recreate"])
def test_ready_is_written(
    no_wide_operator: Cluster, namespace: str, chart_values: list[str], figures: dict[str, str], strategy: str
) -> None:
    environment.install_namespaced_operator(no_wide_operator, namespace, *chart_values)
    recording = record_two_changes(no_wide_operator, namespace, strategy)
    _, *changes = readiness(recording)
    delays = [event.seen - could_be_ready(recording, generation, event) for generation, event, _ in changes]
    figures["after it was so"] = " and ".join(f"{delay:.1f} s" for delay in delays)
    assert len(delays) == 2


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


def could_be_ready(recording: Recording, generation: int, until: Event) -> float:
    """Return when, before an event, the last server of another generation had ended and one of this one was ready."""
    generations = revisions(recording)
    ends: dict[str, float] = {}
    first_ready = None
    for event in recording.of("pods"):
        if event.version >= until.version:
            break
        if generations[revision(event.object)] == generation:
            first_ready = first_ready or (event.seen if is_ready(event.object) else None)
        elif event.type == "DELETED" or not runs(event.object):
            ends.setdefault(event.name, event.seen)
        else:
            ends.pop(event.name, None)
    assert first_ready is not None
    return max(first_ready, *ends.values())
