"""What is shared in a namespace: when it is looked at again, and what its objects are told."""

from typing import Any, cast

import pytest

from classifier_operator.api_errors import ClusterError
from classifier_operator.attempts import Attempts
from classifier_operator.cluster import Cluster
from classifier_operator.mend import Mender
from classifier_operator.observe import Observer
from classifier_operator.reconcile_shared import RETRY_SECONDS, SharedReconciler
from classifier_operator.spec import KIND
from tests.unit.operator.memory import KEY, Memory
from tests.unit.operator.objects import SETTINGS, SPEC, body_of

NAMESPACE = KEY.namespace
NAME = "imageclassifier-mlflow"


def memory_with(*objects: dict[str, Any]) -> Memory:
    spec = SPEC | {"tracking": {"mode": "Managed"}}
    return Memory(body_of(spec, creationTimestamp="2030-01-01T00:00:00Z") | {"kind": KIND}, *objects)


def shared_of(memory: Memory, told: list[str] | None = None) -> SharedReconciler:
    def tell(_namespace: str, name: str) -> None:
        if told is not None:
            told.append(name)

    cluster, attempts = cast("Cluster", memory), Attempts(lambda: memory.now)
    return SharedReconciler(Observer(cluster), Mender(cluster, attempts), attempts, SETTINGS, None, tell)


def pod_waiting(reason: str) -> dict[str, Any]:
    status = {"name": "mlflow", "image": "mlflow:1", "state": {"waiting": {"reason": reason, "message": "none"}}}
    metadata = {"name": f"{NAME}-0", "labels": {"imageclassifier.dev/shared": "mlflow"}}
    return {"kind": "Pod", "metadata": metadata, "status": {"containerStatuses": [status]}}


@pytest.mark.parametrize(
    ("there", "reason", "wait"),
    [
        ({"kind": "StatefulSet", "metadata": {"name": NAME}, "spec": {}}, "NameTaken", RETRY_SECONDS),
        (pod_waiting("ErrImagePull"), "ImagePullFailed", None),
    ],
)
async def test_only_what_gives_no_sign_is_looked_at_again(
    there: dict[str, Any], reason: str, wait: float | None
) -> None:
    shared = shared_of(memory_with(there))
    assert await shared.reconcile(NAMESPACE) == wait
    problem = shared.find_problem(NAMESPACE, "mlflow")
    assert problem is not None
    assert problem.reason == reason


async def test_a_refused_server_comes_back_after_a_moment() -> None:
    memory = memory_with()
    memory.fails = lambda verb, _kind: ClusterError("exceeded quota") if verb == "apply" else None
    shared = shared_of(memory)
    wait = await shared.reconcile(NAMESPACE)
    assert wait is not None
    problem = shared.find_problem(NAMESPACE, "mlflow")
    assert problem is not None
    assert problem.message == f"Service {NAME}: exceeded quota"


async def test_a_contest_over_a_server_is_told_to_the_objects_that_use_it() -> None:
    memory, told = memory_with(), list[str]()
    shared = shared_of(memory, told)
    await shared.reconcile(NAMESPACE)
    for _ in range(5):
        memory.objects["StatefulSet", NAME]["spec"]["serviceName"] = "theirs"
        memory.now += await shared.reconcile(NAMESPACE) or 0
    problem = shared.find_problem(NAMESPACE, "mlflow")
    assert problem is not None
    assert problem.reason == "Contested"
    assert f"spec.serviceName of the StatefulSet {NAME}" in problem.message
    assert told == ["photos"]
