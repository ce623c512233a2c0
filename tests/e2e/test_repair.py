"""What somebody else does to a classifier's children, and what becomes of the operator itself."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.e2e import environment
from tests.e2e.classifiers import classifier, condition, has, ingress, is_ready, picture, ready
from tests.e2e.cluster import Cluster, Object
from tests.e2e.environment import kill_the_operator, without_operator
from tests.tiny_model import COLOURS

MENDED_WITHIN = 5


@pytest.fixture(scope="module")
def served(operator: Cluster) -> Iterator[str]:
    """A namespace in which `photos` is served, for tests that leave it as they found it."""
    with environment.a_namespace(operator, "repair") as name:
        operator.apply(classifier("photos", name, route=ingress("photos", name)))
        operator.until("imageclassifiers", name, "photos", ready)
        operator.until("imageclassifiers", name, "photos", has("Progressing", "True"))
        yield name


@pytest.mark.parametrize("kind", ["deployments", "services", "ingresses", "serviceaccounts", "configmaps"])
def test_a_deleted_child_is_made_again(operator: Cluster, served: str, kind: str) -> None:
    (name,) = operator.children(served, "photos")[kind]
    before = operator.get(kind, served, name)
    assert before is not None
    operator.kubectl("-n", served, "delete", kind, name, "--wait=false")
    uid = before["metadata"]["uid"]
    mended = operator.until(
        kind, served, name, lambda found: found is not None and found["metadata"]["uid"] != uid, within=MENDED_WITHIN
    )
    assert mended is not None
    assert mended.get("data") == before.get("data")
    operator.until("imageclassifiers", served, "photos", ready)


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
    operator: Cluster, served: str, kind: str, edit: list[Object], read: Callable[[Object], Any]
) -> None:
    before = operator.get(kind, served, "photos")
    assert before is not None
    edited = operator.patch(kind, served, "photos", edit)
    assert read(edited) != read(before)
    operator.until(
        kind, served, "photos", lambda found: found is not None and read(found) == read(before), within=MENDED_WITHIN
    )


def test_without_its_labels_an_object_is_repaired_and_scaled_but_not_changed(operator: Cluster, served: str) -> None:
    labels = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "colours", "namespace": served}}
    labels |= {"data": {"labels": "\n".join(COLOURS)}}
    operator.apply(labels)
    reference = {"labels": {"inline": None, "configMap": {"name": "colours", "key": "labels"}}}
    operator.apply(classifier("labelled", served, model=reference))
    operator.until("imageclassifiers", served, "labelled", ready)
    operator.kubectl("-n", served, "delete", "configmap/colours")
    operator.kubectl("-n", served, "delete", "service/labelled")
    operator.until("services", served, "labelled", lambda found: found is not None, within=MENDED_WITHIN)
    operator.kubectl("-n", served, "scale", "ic/labelled", "--replicas=2")
    operator.until("deployments", served, "labelled", lambda found: (found or {})["spec"]["replicas"] == 2, within=5)
    operator.until(
        "imageclassifiers",
        served,
        "labelled",
        lambda found: "ConfigMap colours does not exist" in condition(found, "ModelServed")["message"],
        within=5,
    )
    operator.patch("imageclassifiers", served, "labelled", {"spec": {"topK": 2, "replicas": 1}})
    found = operator.until("imageclassifiers", served, "labelled", has("Ready", "False", "LabelsNotFound"), within=10)
    assert condition(found, "ModelServed")["status"] == "True"
    operator.apply(labels)
    operator.until("imageclassifiers", served, "labelled", has("Ready", "False", "RollingOut"), within=10)
    operator.kubectl("-n", served, "delete", "ic/labelled", "--wait=false")


def test_a_deployment_that_is_not_ours_is_left_alone_and_named(operator: Cluster, namespace: str) -> None:
    pod = {"metadata": {"labels": {"app": "theirs"}}, "spec": {"containers": [{"name": "theirs", "image": "theirs:1"}]}}
    theirs = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "photos", "namespace": namespace},
        "spec": {"replicas": 0, "selector": {"matchLabels": {"app": "theirs"}}, "template": pod},
    }
    operator.apply(theirs)
    before = operator.get("deployments", namespace, "photos")
    operator.apply(classifier("photos", namespace))
    found = operator.until("imageclassifiers", namespace, "photos", has("Ready", "False", "NameTaken"), within=10)
    message = condition(found, "Ready")["message"]
    assert "Deployment" in message
    assert "photos" in message
    after = operator.get("deployments", namespace, "photos")
    assert before is not None
    assert after is not None
    assert after["spec"] == before["spec"]
    assert after["metadata"].get("ownerReferences") is None
    operator.kubectl("-n", namespace, "delete", "deployment/photos")
    operator.until("imageclassifiers", namespace, "photos", ready)


def test_an_operator_killed_in_the_middle_of_a_rollout_finishes_it(operator: Cluster, namespace: str) -> None:
    operator.apply(classifier("photos", namespace, topK=1))
    operator.until("imageclassifiers", namespace, "photos", ready)
    operator.patch("imageclassifiers", namespace, "photos", {"spec": {"topK": 2}})
    operator.until("deployments", namespace, "photos", lambda found: (found or {})["metadata"]["generation"] == 2)
    kill_the_operator(operator)
    operator.until("imageclassifiers", namespace, "photos", ready, within=90)
    assert len(operator.predict(namespace, "photos", picture("red"))["predictions"]) == 2


def test_a_change_made_while_the_operator_is_away_is_found_on_its_return(operator: Cluster, namespace: str) -> None:
    operator.apply(classifier("photos", namespace, topK=1))
    operator.until("imageclassifiers", namespace, "photos", ready)
    with without_operator(operator):
        operator.patch("imageclassifiers", namespace, "photos", {"spec": {"topK": 2}})
        operator.kubectl("-n", namespace, "delete", "service/photos")
    operator.until("imageclassifiers", namespace, "photos", ready, within=90)
    assert len(operator.predict(namespace, "photos", picture("red"))["predictions"]) == 2


def test_an_old_pod_killed_in_a_failed_rollout_comes_back_with_the_old_spec(operator: Cluster, namespace: str) -> None:
    operator.apply(classifier("photos", namespace, topK=1))
    operator.until("imageclassifiers", namespace, "photos", ready)
    (old,) = operator.find("pods", namespace, "imageclassifier.dev/classifier=photos")
    changed = {"topK": 2, "model": {"sha256": "0" * 64}}
    operator.patch("imageclassifiers", namespace, "photos", {"spec": changed})
    operator.until("imageclassifiers", namespace, "photos", has("Ready", "False", "DigestMismatch"))
    operator.kubectl("-n", namespace, "delete", "pod", old["metadata"]["name"], "--grace-period=0", "--force")
    revision = old["metadata"]["labels"]["imageclassifier.dev/revision"]
    operator.until_some(
        "pods",
        namespace,
        f"imageclassifier.dev/revision={revision}",
        lambda pod: pod["metadata"]["uid"] != old["metadata"]["uid"] and is_ready(pod),
    )
    operator.until("imageclassifiers", namespace, "photos", has("ModelServed", "True"))
    assert len(operator.predict(namespace, "photos", picture("red"))["predictions"]) == 1
