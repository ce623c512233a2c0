"""What status says where the API server, or the operator itself, fails; and when an object is looked at again."""

from contextlib import suppress
from typing import Any

import pytest

from classifier_operator.api_errors import ClusterError, UnknownKindError
from classifier_operator.attempts import FIRST_SECONDS
from classifier_operator.decide.failures import is_told
from classifier_operator.decide.status import find_condition
from classifier_operator.reconcile import RETRY_SECONDS, Reconciler
from classifier_operator.spec import KIND
from tests.unit.operator.memory import KEY, Memory, reconciler_of
from tests.unit.operator.objects import SPEC, body_of

ON_VOLUME = {"tracking": {"mode": "Managed"}, "predictionLog": {"volume": {"claim": "none"}}}


def object_of(**changes: Any) -> dict[str, Any]:
    return body_of(SPEC | changes, creationTimestamp="2030-01-01T00:00:00Z") | {"kind": KIND}


def labels_in(name: str) -> dict[str, Any]:
    return {"model": {"uri": SPEC["model"]["uri"], "labels": {"configMap": {"name": name, "key": "k"}}}}


def labels_map(content: str) -> dict[str, Any]:
    return {"kind": "ConfigMap", "metadata": {"name": "labels"}, "data": {"k": content}}


def ready_of(memory: Memory) -> tuple[str, str, str]:
    found = find_condition(memory.status, "Ready")
    assert found is not None
    return found["status"], found["reason"], found["message"]


async def attempt(reconciler: Reconciler, times: int) -> None:
    for _ in range(times):
        with suppress(ClusterError, RuntimeError):
            await reconciler.reconcile(KEY)


def taken(kind: str) -> dict[str, Any]:
    return {"kind": kind, "metadata": {"name": "photos", "resourceVersion": "1"}}


@pytest.mark.parametrize(
    ("memory", "reason", "wait"),
    [
        (Memory(object_of(), taken("Service")), "NameTaken", RETRY_SECONDS),
        (Memory(object_of(**labels_in("none"))), "LabelsNotFound", RETRY_SECONDS),
        (Memory(object_of(**ON_VOLUME)), "VolumeNotFound", RETRY_SECONDS),
        (Memory(object_of(**labels_in("labels")), labels_map("a\n\nb")), "LabelsInvalid", None),
        (Memory(object_of(topK=0)), "SpecInvalid", None),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_only_what_gives_no_sign_is_looked_at_each_second(
    memory: Memory, reason: str, wait: float | None
) -> None:
    assert await reconciler_of(memory).reconcile(KEY) == wait
    assert ready_of(memory)[1] == reason


@pytest.mark.parametrize(
    ("content", "said"),
    [("a" * 300, "labels.inline[0]: String should have at most 256"), ("a\n" * 25001, "at most 25000 items")],
)
async def test_labels_that_inline_would_be_refused_are_refused_in_a_config_map(content: str, said: str) -> None:
    memory = Memory(object_of(**labels_in("labels")), labels_map(content))
    await reconciler_of(memory).reconcile(KEY)
    assert ready_of(memory)[1] == "LabelsInvalid"
    assert said in ready_of(memory)[2]


async def test_labels_that_are_gone_stop_neither_repairs_nor_scaling_but_a_change_of_the_pods() -> None:
    memory = Memory(object_of(**labels_in("labels")), labels_map("cat\ndog"))
    reconciler = reconciler_of(memory)
    await reconciler.reconcile(KEY)
    document = revision_of(memory)
    del memory.objects["ConfigMap", "labels"]
    del memory.objects["Service", "photos"]
    memory.objects[KIND, "photos"]["spec"]["replicas"] = 3
    await reconciler.reconcile(KEY)
    assert ready_of(memory)[1] == "Starting"
    assert ("Service", "photos") in memory.objects
    assert memory.objects["Deployment", "photos"]["spec"]["replicas"] == 3
    assert revision_of(memory) == document
    memory.objects[KIND, "photos"]["spec"]["topK"] = 3
    assert await reconciler.reconcile(KEY) == RETRY_SECONDS
    assert ready_of(memory)[1:] == ("LabelsNotFound", "ConfigMap labels does not exist")
    memory.objects["ConfigMap", "labels"] = labels_map("cat\ndog")
    await reconciler.reconcile(KEY)
    assert ready_of(memory)[1] == "Starting"
    assert revision_of(memory) != document


def revision_of(memory: Memory) -> str:
    template = memory.objects["Deployment", "photos"]["spec"]["template"]
    return str(template["metadata"]["labels"]["imageclassifier.dev/revision"])


async def test_a_refused_child_is_told_at_once_and_comes_back_after_a_moment() -> None:
    memory = Memory(object_of())
    memory.fails = lambda verb, kind: ClusterError("exceeded quota") if (verb, kind) == ("apply", "Service") else None
    wait = await reconciler_of(memory).reconcile(KEY)
    assert wait is not None
    assert wait < RETRY_SECONDS
    assert ready_of(memory) == ("False", "ChildRefused", "Service photos: exceeded quota")


async def test_a_secret_that_is_refused_is_told_as_any_child_is() -> None:
    memory = Memory(object_of(tracking={"mode": "Managed"}, storage={"mode": "Managed"}))
    memory.fails = lambda verb, kind: ClusterError("exceeded quota") if (verb, kind) == ("create", "Secret") else None
    await reconciler_of(memory).reconcile(KEY)
    assert ready_of(memory) == ("False", "ChildRefused", "Secret imageclassifier-minio: exceeded quota")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ClusterError("etcdserver: request is too large"), "etcdserver: request is too large"),
        (ClusterError("x" * 5000), "x" * 1024),
        (RuntimeError("token=secret"), "RuntimeError: the operator's log says more"),
    ],
)
async def test_what_nobody_reckoned_with_is_told_once_it_lasts_and_what_was_seen_before_stays(
    error: Exception, message: str
) -> None:
    memory = Memory(object_of())
    reconciler = reconciler_of(memory)
    await reconciler.reconcile(KEY)
    before = memory.status
    memory.fails = lambda verb, kind: error if (verb, kind) == ("find", "ReplicaSet") else None
    await attempt(reconciler, 3)
    assert memory.status == before
    await attempt(reconciler, 1)
    assert ready_of(memory) == ("False", "ReconcileFailed", message)
    assert memory.status["lastFailure"]["message"] == message
    assert find_condition(memory.status, "Progressing") == find_condition(before, "Progressing")
    assert memory.events[-1]["reason"] == "ReconcileFailed"
    memory.fails = lambda _verb, _kind: None
    await reconciler.reconcile(KEY)
    assert ready_of(memory)[1] == "Starting"
    assert memory.status["lastFailure"]["reason"] == "ReconcileFailed"


async def test_a_failure_that_reads_otherwise_each_time_is_written_ever_more_rarely() -> None:
    memory = Memory(object_of())
    reconciler = reconciler_of(memory)
    count = 0

    def fail(verb: str, _kind: str) -> Exception | None:
        nonlocal count
        count += 1
        return ClusterError(f"request {count} failed") if verb == "find" else None

    memory.fails = fail
    await attempt(reconciler, 100)
    assert memory.statuses == len([number for number in range(101) if is_told(number)]) == 5


async def test_a_failed_status_is_tried_again() -> None:
    memory = Memory(object_of())
    reconciler = reconciler_of(memory)
    memory.fails = lambda verb, _kind: ClusterError("away") if verb in {"find", "status"} else None
    await attempt(reconciler, 7)
    memory.fails = lambda verb, _kind: ClusterError("away") if verb == "find" else None
    await attempt(reconciler, 1)
    assert ready_of(memory)[1:] == ("ReconcileFailed", "away")


async def test_an_event_that_is_not_taken_holds_nothing_up() -> None:
    memory = Memory(object_of())
    memory.fails = lambda verb, kind: ClusterError("exceeded quota") if (verb, kind) == ("create", "Event") else None
    await reconciler_of(memory).reconcile(KEY)
    assert ready_of(memory)[1] == "Starting"


async def test_an_edit_that_somebody_repeats_is_told_in_progressing_and_in_one_event() -> None:
    memory = Memory(object_of())
    reconciler = reconciler_of(memory)
    await reconciler.reconcile(KEY)
    for _ in range(8):
        memory.objects["ServiceAccount", "photos"]["automountServiceAccountToken"] = True
        memory.now += await reconciler.reconcile(KEY) or 0
    found = find_condition(memory.status, "Progressing")
    assert found is not None
    assert found["reason"] == "Contested"
    assert "automountServiceAccountToken of the ServiceAccount photos" in found["message"]
    (event,) = [each for each in memory.events if each["reason"] == "Contested"]
    assert event["type"] == "Warning"


async def test_what_is_as_it_should_be_is_not_sent_again() -> None:
    memory, writes = Memory(object_of(route={"ingress": {}})), list[tuple[str, str]]()

    def note(verb: str, kind: str) -> None:
        if verb not in {"get", "find"}:
            writes.append((verb, kind))

    memory.fails = note
    reconciler = reconciler_of(memory)
    await reconciler.reconcile(KEY)
    assert [kind for verb, kind in writes if verb == "apply"] == [
        "ServiceAccount",
        "ConfigMap",
        "Service",
        "Deployment",
        "Ingress",
    ]
    writes.clear()
    assert await reconciler.reconcile(KEY) is None
    assert writes == []


async def test_a_kind_that_the_cluster_has_not_is_missed_only_where_it_is_wanted() -> None:
    memory = Memory(object_of())
    memory.fails = lambda _verb, kind: UnknownKindError("this cluster has no such kind") if kind == "Ingress" else None
    reconciler = reconciler_of(memory)
    await reconciler.reconcile(KEY)
    assert ready_of(memory)[1] == "Starting"
    assert find_condition(memory.status, "RouteReady") is None
    memory.objects[KIND, "photos"]["spec"]["route"] = {"ingress": {}}
    assert await reconciler.reconcile(KEY) is not None
    assert ready_of(memory)[1] == "Starting"
    route = find_condition(memory.status, "RouteReady")
    assert route is not None
    assert (route["reason"], route["message"]) == ("ChildRefused", "Ingress photos: this cluster has no such kind")


async def test_it_is_looked_again_when_the_first_asks_for_it() -> None:
    memory = Memory(object_of(route={"ingress": {}}), taken("Service"))
    memory.fails = lambda verb, kind: ClusterError("exceeded quota") if (verb, kind) == ("apply", "Ingress") else None
    assert await reconciler_of(memory).reconcile(KEY) == FIRST_SECONDS < RETRY_SECONDS
