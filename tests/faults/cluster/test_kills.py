"""An operator that is killed again and again."""

import itertools
import threading
import time

from tests.e2e import environment
from tests.e2e.classifiers import classifier, has, picture, ready
from tests.e2e.cluster import Cluster
from tests.e2e.environment import kill_the_operator

NAMESPACE = "faults-kills"
SECONDS = 600
EVERY = 5
COUNT = 10
"""Objects, of which the first is served."""


def test_ten_minutes_of_kills_leave_every_object_as_it_was_asked_for_last(
    no_wide_operator: Cluster, chart_values: list[str], figures: dict[str, str]
) -> None:
    cluster = no_wide_operator
    with environment.a_namespace(cluster, NAMESPACE):
        environment.install_namespaced_operator(cluster, NAMESPACE, *chart_values)
        kills = 0
        ended = time.monotonic() + SECONDS
        for top_k in itertools.cycle((1, 2, 3)):
            objects = (classifier(f"c{n}", NAMESPACE, replicas=int(n == 0), topK=top_k) for n in range(COUNT))
            cluster.apply(*objects)
            # Kills are to find it at whatever it does.
            threading.Event().wait(EVERY * (kills % 4) / 4)
            kill_the_operator(cluster, NAMESPACE)
            kills += 1
            if time.monotonic() > ended:
                break
        started = time.monotonic()
        for n in range(COUNT):
            said = has("Ready", "False", "ScaledToZero") if n else ready
            cluster.until("imageclassifiers", NAMESPACE, f"c{n}", said)
        figures["kills"] = str(kills)
        figures["as it should be after the last one"] = f"{time.monotonic() - started:.1f} s"
        assert len(cluster.predict(NAMESPACE, "c0", picture("red"))["predictions"]) == top_k
        for n in range(COUNT):
            kept = cluster.children(NAMESPACE, f"c{n}")
            assert len(kept["deployments"]) == len(kept["services"]) == len(kept["serviceaccounts"]) == 1
