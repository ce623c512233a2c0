"""What somebody else does to a classifier's children is mended, at once: the operator takes no other look."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.e2e import environment
from tests.e2e.classifiers import classifier, condition, has, ingress, ready
from tests.e2e.cluster import Cluster, Object
from tests.tiny_model import COLOURS

NAMESPACE = "repair"


@pytest.fixture(scope="module")
def served(no_wide_operator: Cluster, chart_values: list[str]) -> Iterator[str]:
    """A namespace in which `photos` is served, for tests that leave it as they found it."""
    cluster = no_wide_operator
    with environment.a_namespace(cluster, NAMESPACE) as name:
        environment.install_namespaced_operator(cluster, name, *chart_values, *environment.BY_EVENTS_ALONE)
        cluster.apply(classifier("photos", name, route=ingress("photos", name)))
        cluster.until("imageclassifiers", name, "photos", ready)
        cluster.until("imageclassifiers", name, "photos", has("Progressing", "True"))
        yield name


@pytest.mark.parametrize("kind", ["deployments", "services", "ingresses", "serviceaccounts", "configmaps"])
def test_a_deleted_child_is_made_again(cluster: Cluster, served: str, kind: str) -> None:
    (name,) = cluster.children(served, "photos")[kind]
    before = cluster.get(kind, served, name)
    assert before is not None
    cluster.kubectl("-n", served, "delete", kind, name, "--wait=false")
    uid = before["metadata"]["uid"]
    mended = cluster.until(kind, served, name, lambda found: found is not None and found["metadata"]["uid"] != uid)
    assert mended is not None
    assert mended.get("data") == before.get("data")
    cluster.until("imageclassifiers", served, "photos", ready)


CONTAINER = "/spec/template/spec/containers"
EDITS: dict[str, tuple[str, list[Object], Callable[[Object], Any]]] = {
    "replicas edited": (
        "deployments", [{"op": "replace", "path": "/spec/replicas", "value": 3}],
        lambda found: found["spec"]["replicas"],
    ),
    "image edited": (
        "deployments", [{"op": "replace", "path": f"{CONTAINER}/0/image", "value": "other:1"}],
        lambda found: found["spec"]["template"]["spec"]["containers"][0]["image"],
    ),
    "label removed": (
        "deployments", [{"op": "remove", "path": "/metadata/labels/imageclassifier.dev~1classifier"}],
        lambda found: found["metadata"]["labels"].get("imageclassifier.dev/classifier"),
    ),
    "variable added": (
        "deployments", [{"op": "add", "path": f"{CONTAINER}/0/env/-", "value": {"name": "EXTRA", "value": "1"}}],
        lambda found: found["spec"]["template"]["spec"]["containers"][0]["env"],
    ),
    "container added": (
        "deployments", [{"op": "add", "path": f"{CONTAINER}/-", "value": {"name": "extra", "image": "extra:1"}}],
        lambda found: [each["name"] for each in found["spec"]["template"]["spec"]["containers"]],
    ),
    "port edited": (
        "services", [{"op": "replace", "path": "/spec/ports/0/targetPort", "value": 9999}],
        lambda found: found["spec"]["ports"][0]["targetPort"],
    ),
    "port added": (
        "services", [{"op": "add", "path": "/spec/ports/-", "value": {"name": "extra", "port": 81}}],
        lambda found: [each["port"] for each in found["spec"]["ports"]],
    ),
    "selector added to": (
        "services", [{"op": "add", "path": "/spec/selector/extra", "value": "1"}],
        lambda found: found["spec"]["selector"],
    ),
    "host edited": (
        "ingresses", [{"op": "replace", "path": "/spec/rules/0/host", "value": "elsewhere.test"}],
        lambda found: found["spec"]["rules"][0]["host"],
    ),
    "rule added": (
        "ingresses", [{"op": "add", "path": "/spec/rules/-", "value": {"host": "extra.test"}}],
        lambda found: [each["host"] for each in found["spec"]["rules"]],
    ),
    "token mounting edited": (
        "serviceaccounts", [{"op": "add", "path": "/automountServiceAccountToken", "value": True}],
        lambda found: found.get("automountServiceAccountToken"),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("kind", "edit", "read"), EDITS.values(), ids=list(EDITS))
def test_an_edited_child_is_mended(
    cluster: Cluster, served: str, kind: str, edit: list[Object], read: Callable[[Object], Any]
) -> None:
    before = cluster.get(kind, served, "photos")
    assert before is not None
    edited = cluster.patch(kind, served, "photos", edit)
    assert read(edited) != read(before)
    cluster.until(kind, served, "photos", lambda found: found is not None and read(found) == read(before))


def test_without_its_labels_an_object_is_repaired_and_scaled_but_not_changed(cluster: Cluster, served: str) -> None:
    labels = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "colours", "namespace": served}}
    labels |= {"data": {"labels": "\n".join(COLOURS)}}
    cluster.apply(labels)
    reference = {"labels": {"inline": None, "configMap": {"name": "colours", "key": "labels"}}}
    cluster.apply(classifier("labelled", served, model=reference))
    cluster.until("imageclassifiers", served, "labelled", ready)
    cluster.kubectl("-n", served, "delete", "configmap/colours")
    cluster.kubectl("-n", served, "delete", "service/labelled")
    cluster.until("services", served, "labelled", lambda found: found is not None)
    cluster.kubectl("-n", served, "scale", "ic/labelled", "--replicas=2")
    cluster.until("deployments", served, "labelled", lambda found: (found or {})["spec"]["replicas"] == 2)
    cluster.until(
        "imageclassifiers",
        served,
        "labelled",
        lambda found: "ConfigMap colours does not exist" in condition(found, "ModelServed")["message"],
    )
    cluster.patch("imageclassifiers", served, "labelled", {"spec": {"topK": 2, "replicas": 1}})
    found = cluster.until("imageclassifiers", served, "labelled", has("Ready", "False", "LabelsNotFound"))
    assert condition(found, "ModelServed")["status"] == "True"
    cluster.apply(labels)
    cluster.until("imageclassifiers", served, "labelled", has("Ready", "False", "RollingOut"))
    cluster.kubectl("-n", served, "delete", "ic/labelled", "--wait=false")


def test_a_deployment_that_is_not_ours_is_left_alone_and_named(cluster: Cluster, served: str) -> None:
    pod = {"metadata": {"labels": {"app": "theirs"}}, "spec": {"containers": [{"name": "theirs", "image": "theirs:1"}]}}
    theirs = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "theirs", "namespace": served},
        "spec": {"replicas": 0, "selector": {"matchLabels": {"app": "theirs"}}, "template": pod},
    }
    cluster.apply(theirs)
    before = cluster.get("deployments", served, "theirs")
    cluster.apply(classifier("theirs", served))
    found = cluster.until("imageclassifiers", served, "theirs", has("Ready", "False", "NameTaken"))
    message = condition(found, "Ready")["message"]
    assert "Deployment" in message
    assert "theirs" in message
    after = cluster.get("deployments", served, "theirs")
    assert before is not None
    assert after is not None
    assert after["spec"] == before["spec"]
    assert after["metadata"].get("ownerReferences") is None
    cluster.kubectl("-n", served, "delete", "deployment/theirs")
    cluster.until("imageclassifiers", served, "theirs", ready)
    cluster.kubectl("-n", served, "delete", "ic/theirs", "--wait=false")
