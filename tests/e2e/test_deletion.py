"""A deleted object leaves nothing behind, however it is deleted."""

import re
import threading
from contextlib import AbstractContextManager, nullcontext

import pytest

from tests.e2e import environment
from tests.e2e.classifiers import classifier, has, ingress, picture, ready
from tests.e2e.cluster import CHILD_KINDS, Cluster

OPERATING = (environment.ROOT / "docs" / "operating.md").read_text()
SETTLED = 3
"""Seconds of waiting after everything is gone: long enough for an operator to make again what it shouldn't."""


def start(cluster: Cluster, *namespaces: str) -> None:
    cluster.apply(*(classifier("photos", each, route=ingress("photos", each)) for each in namespaces))
    for each in namespaces:
        cluster.until("imageclassifiers", each, "photos", ready)


def nothing_is_left(cluster: Cluster, *namespaces: str) -> None:
    for namespace in namespaces:
        cluster.until_none("imageclassifiers", namespace, "")
        for kind in CHILD_KINDS:
            cluster.until_none(kind, namespace, "imageclassifier.dev/classifier=photos")
    # What is looked for is what does not come: nothing but time shows it.
    threading.Event().wait(SETTLED)
    for namespace in namespaces:
        assert not cluster.children(namespace, "photos")


def delete_in_every_way(cluster: Cluster, namespace: str, meanwhile: AbstractContextManager[None]) -> list[str]:
    """Delete three objects, one with its namespace, within the block; return the namespaces that there are still."""
    foreground, ended = f"{namespace}-f", f"{namespace}-e"
    for each in (foreground, ended):
        environment.create_namespace(cluster, each)
    start(cluster, namespace, foreground, ended)
    with meanwhile:
        cluster.kubectl("delete", "namespace", ended, "--wait=false")
        cluster.kubectl("-n", namespace, "delete", "ic/photos", "--cascade=background", "--timeout=60s")
        cluster.kubectl("-n", foreground, "delete", "ic/photos", "--cascade=foreground", "--timeout=60s")
        nothing_is_left(cluster, namespace, foreground)
        cluster.kubectl("wait", "--for=delete", f"namespace/{ended}", "--timeout=90s")
    return [namespace, foreground]


def test_a_deleted_object_or_namespace_leaves_nothing(operator: Cluster, namespace: str) -> None:
    _, foreground = delete_in_every_way(operator, namespace, nullcontext())
    operator.kubectl("delete", "namespace", foreground, "--wait=false")


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
    new = operator.until("imageclassifiers", namespace, "photos", ready)
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
    operator.until("ingresses", namespace, "photos", lambda found: found is not None)
    operator.patch("imageclassifiers", namespace, "photos", {"spec": {"route": None}})
    operator.until("ingresses", namespace, "photos", lambda found: found is None)
    operator.until("imageclassifiers", namespace, "photos", has("Ready", "False", "ScaledToZero"))


def test_configmaps_of_revisions_that_nothing_uses_are_removed(operator: Cluster, namespace: str) -> None:
    operator.apply(classifier("photos", namespace, topK=1))
    operator.until("imageclassifiers", namespace, "photos", ready)
    (before,) = operator.children(namespace, "photos")["configmaps"]
    operator.patch("imageclassifiers", namespace, "photos", {"spec": {"topK": 2}})
    operator.until("imageclassifiers", namespace, "photos", ready)
    operator.until("configmaps", namespace, before, lambda found: found is None)


def test_orphans_are_handed_over_as_documented_and_no_pod_restarts(operator: Cluster, namespace: str) -> None:
    start(operator, namespace)
    (before,) = operator.children(namespace, "photos")["pods"]
    operator.kubectl("-n", namespace, "delete", "ic/photos", "--cascade=orphan")
    operator.apply(classifier("photos", namespace, route=ingress("photos", namespace)))
    operator.until("imageclassifiers", namespace, "photos", has("Ready", "False", "NameTaken"))
    (documented,) = re.findall(r"```sh\n(uid=.*?)```", OPERATING, re.DOTALL)
    script = documented.replace("NAME", "photos").replace("kubectl", f"kubectl -n {namespace}")
    operator.run("bash", "-euc", script)
    operator.until("imageclassifiers", namespace, "photos", ready)
    assert operator.children(namespace, "photos")["pods"] == [before]
    operator.kubectl("-n", namespace, "delete", "ic/photos")
    nothing_is_left(operator, namespace)
