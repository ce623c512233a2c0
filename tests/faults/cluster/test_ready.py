"""How soon Ready is written."""

import pytest

from tests.e2e.classifiers import is_ready
from tests.e2e.cluster import Cluster, Event, Recording
from tests.e2e.test_rollout import readiness, record_two_changes, revision, revisions, runs


@pytest.mark.parametrize("strategy", ["RollingUpdate", "Recreate"])
def test_ready_is_written(operator: Cluster, namespace: str, figures: dict[str, str], strategy: str) -> None:
    recording = record_two_changes(operator, namespace, strategy)
    _, *changes = readiness(recording)
    delays = [event.seen - could_be_ready(recording, generation, event) for generation, event, _ in changes]
    figures["after it was so"] = " and ".join(f"{delay:.1f} s" for delay in delays)
    assert len(delays) == 2


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
