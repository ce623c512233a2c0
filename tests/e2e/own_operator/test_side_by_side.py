"""Two releases of the chart, each for a namespace of its own."""

from collections.abc import Iterator

import pytest

from tests.e2e import environment
from tests.e2e.classifiers import classifier, picture, ready
from tests.e2e.cluster import Cluster


@pytest.fixture
def teams(no_wide_operator: Cluster) -> Iterator[tuple[str, str]]:
    cluster = no_wide_operator
    with environment.a_namespace(cluster, "team-a") as one, environment.a_namespace(cluster, "team-b") as other:
        yield one, other


def test_two_releases_of_one_namespace_each_stand_side_by_side(
    cluster: Cluster, teams: tuple[str, str], chart_values: list[str]
) -> None:
    for team in teams:
        environment.install_namespaced_operator(cluster, team, *chart_values)
    cluster_scoped = cluster.kubectl("get", "clusterroles,clusterrolebindings", "-o", "name")
    assert "imageclassifier-operator" not in cluster_scoped
    for team in teams:
        cluster.apply(classifier("photos", team))
    for team in teams:
        cluster.until("imageclassifiers", team, "photos", ready)
    cluster.run("helm", "uninstall", "operator", "--namespace", teams[0], "--wait")
    for team in teams:
        cluster.patch("imageclassifiers", team, "photos", {"spec": {"topK": 1}})
    cluster.until("imageclassifiers", teams[1], "photos", ready)
    assert len(cluster.predict(teams[0], "photos", picture("red"))["predictions"]) == 3
    logs = cluster.kubectl("-n", teams[1], "logs", f"deployment/{environment.OPERATOR}")
    assert "forbidden" not in logs.lower()
