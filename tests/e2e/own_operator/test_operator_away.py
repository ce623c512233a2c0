"""An operator that is killed, or away for a while, finds on its return what happened without it."""

from collections.abc import Iterator

import pytest

from tests.e2e import environment
from tests.e2e.classifiers import classifier, picture, ready
from tests.e2e.cluster import Cluster
from tests.e2e.environment import kill_the_operator, without_operator
from tests.e2e.sinks import MLFLOW
from tests.e2e.test_managed_sinks import SHARED, idle

NAMESPACE = "operator-away"


@pytest.fixture(scope="module")
def own(no_wide_operator: Cluster, chart_values: list[str]) -> Iterator[str]:
    """A namespace with an operator of its own."""
    with environment.a_namespace(no_wide_operator, NAMESPACE) as name:
        environment.install_namespaced_operator(no_wide_operator, name, *chart_values, *environment.BY_EVENTS_ALONE)
        yield name


def test_an_operator_killed_in_the_middle_of_a_rollout_finishes_it(cluster: Cluster, own: str) -> None:
    cluster.apply(classifier("changed", own, topK=1))
    cluster.until("imageclassifiers", own, "changed", ready)
    cluster.patch("imageclassifiers", own, "changed", {"spec": {"topK": 2}})
    cluster.until("deployments", own, "changed", lambda found: (found or {})["metadata"]["generation"] == 2)
    kill_the_operator(cluster, own)
    cluster.until("imageclassifiers", own, "changed", ready)
    assert len(cluster.predict(own, "changed", picture("red"))["predictions"]) == 2


def test_a_change_made_while_the_operator_is_away_is_found_on_its_return(cluster: Cluster, own: str) -> None:
    cluster.apply(classifier("photos", own, topK=1))
    cluster.until("imageclassifiers", own, "photos", ready)
    with without_operator(cluster, own):
        cluster.patch("imageclassifiers", own, "photos", {"spec": {"topK": 2}})
        cluster.kubectl("-n", own, "delete", "service/photos")
    cluster.until("imageclassifiers", own, "photos", ready)
    assert len(cluster.predict(own, "photos", picture("red"))["predictions"]) == 2


def test_servers_that_nobody_wants_any_more_go_also_when_the_operator_was_down(cluster: Cluster, own: str) -> None:
    cluster.apply(idle("tracked", own))
    cluster.until("statefulsets", own, MLFLOW, lambda found: found is not None)
    with without_operator(cluster, own):
        cluster.kubectl("-n", own, "delete", "ic/tracked")
    for kind in ("statefulsets", "services"):
        cluster.until_none(kind, own, SHARED)
