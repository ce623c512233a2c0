"""A deleted object leaves nothing behind while no operator runs."""

from tests.e2e import environment
from tests.e2e.cluster import Cluster
from tests.e2e.environment import without_operator
from tests.e2e.test_deletion import delete_in_every_way, nothing_is_left


def test_an_object_or_namespace_that_is_deleted_while_the_operator_is_down_leaves_nothing(
    operator: Cluster, namespace: str
) -> None:
    left = delete_in_every_way(operator, namespace, without_operator(operator, environment.SYSTEM))
    nothing_is_left(operator, *left)
    operator.kubectl("delete", "namespace", left[-1], "--wait=false")
