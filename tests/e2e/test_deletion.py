"""A deleted object leaves nothing behind, however it is deleted."""

from contextlib import AbstractContextManager, nullcontext

import pytest

from tests.e2e.classifiers import classifier, has, ingress, picture, ready
from tests.e2e.cluster import CHILD_KINDS, Cluster
from tests.e2e.environment import without_operator

SETTLED = 3
"""Seconds of watching after everything is gone: long enough for an operator to make again what it shouldn't."""


def start(cluster: Cluster, namespace: str) -> None:
    cluster.apply(classifier("photos", namespace, route=ingress("photos", namespace)))
    cluster.until("imageclassifiers", namespace, "photos", ready)


def nothing_is_left(cluster: Cluster, namespace: str) -> None:
    for kind in ("imageclassifiers", *CHILD_KINDS):
        selector = "imageclassifier.dev/classifier=photos" if kind in CHILD_KINDS else ""
        cluster.until_none(kind, namespace, selector)
    with cluster.record(namespace, "deployments", "services", "configmaps", "ingresses") as recording:
        next(cluster.watch("imageclassifiers", namespace, "0", SETTLED), None)
    made = [event.name for event in recording.events if event.name.startswith("photos")]
    assert not made


def operator_state(cluster: Cluster, state: str) -> AbstractContextManager[None]:
    return without_operator(cluster) if state == "down" else nullcontext()


@pytest.mark.parametrize("state", ["up", "down"])
@pytest.mark.parametrize("cascade", ["background", "foreground"])
def test_a_deleted_object_leaves_nothing(operator: Cluster, namespace: str, cascade: str, state: str) -> None:
    start(operator, namespace)
    with operator_state(operator, state):
        operator.kubectl("-n", namespace, "delete", "ic/photos", f"--cascade={cascade}", "--timeout=30s")
        nothing_is_left(operator, namespace)
    nothing_is_left(operator, namespace)


@pytest.mark.parametrize("state", ["up", "down"])
def test_a_deleted_namespace_ends(operator: Cluster, namespace: str, state: str) -> None:
    start(operator, namespace)
    with operator_state(operator, state):
        operator.kubectl("delete", "namespace", namespace, "--timeout=60s")


@pytest.mark.parametrize("cascade", ["background", "foreground"])
def test_an_object_applied_again_at_once_is_a_new_one_with_its_own_children(
    operator: Cluster, namespace: str, cascade: str
) -> None:
    start(operator, namespace)
    old = operator.get("imageclassifiers", namespace, "photos")
    assert old is not None
    operator.kubectl("-n", namespace, "delete", "ic/photos", f"--cascade={cascade}", "--wait=false")
    operator.until(
        "imageclassifiers",
        namespace,
        "photos",
        lambda found: found is None or "deletionTimestamp" in found["metadata"],
    )
    if cascade == "foreground":
        operator.until("imageclassifiers", namespace, "photos", lambda found: found is None)
    operator.apply(classifier("photos", namespace, topK=1))
    new = operator.until("imageclassifiers", namespace, "photos", ready, within=90)
    assert new is not None
    assert new["metadata"]["uid"] != old["metadata"]["uid"]
    assert len(operator.predict(namespace, "photos", picture("red"))["predictions"]) == 1
    operator.until_none("ingresses", namespace, "imageclassifier.dev/classifier=photos")
    for kind in ("deployments", "services", "serviceaccounts", "configmaps"):
        for child in operator.find(kind, namespace, "imageclassifier.dev/classifier=photos"):
            assert [owner["uid"] for owner in child["metadata"]["ownerReferences"]] == [new["metadata"]["uid"]]
    operator.kubectl("-n", namespace, "delete", "ic/photos")
    nothing_is_left(operator, namespace)


def test_a_route_that_is_taken_back_leaves_no_ingress(operator: Cluster, namespace: str) -> None:
    operator.apply(classifier("photos", namespace, replicas=0, route=ingress("photos", namespace)))
    operator.until("ingresses", namespace, "photos", lambda found: found is not None, within=10)
    operator.patch("imageclassifiers", namespace, "photos", {"spec": {"route": None}})
    operator.until("ingresses", namespace, "photos", lambda found: found is None, within=10)
    operator.until("imageclassifiers", namespace, "photos", has("Ready", "False", "ScaledToZero"))


def test_configmaps_of_revisions_that_nothing_uses_are_removed(operator: Cluster, namespace: str) -> None:
    operator.apply(classifier("photos", namespace, topK=1))
    operator.until("imageclassifiers", namespace, "photos", ready)
    (before,) = operator.children(namespace, "photos")["configmaps"]
    operator.patch("imageclassifiers", namespace, "photos", {"spec": {"topK": 2}})
    operator.until("imageclassifiers", namespace, "photos", ready, within=90)
    operator.until("configmaps", namespace, before, lambda found: found is None, within=90)
