"""What a user can mend is named while the old revision answers, and mending it is all it takes."""

from collections.abc import Iterator

import pytest

from tests.e2e import environment
from tests.e2e.classifiers import classifier, condition, has, host, in_image, ingress, picture, ready
from tests.e2e.cluster import Cluster, Object
from tests.e2e.load import Load

NAMESPACE = "failures"

FAILURES: dict[str, tuple[Object, str, str]] = {
    "model not there": ({"model": {"uri": f"{environment.FILES}/missing.onnx"}}, "ModelNotFound", "missing.onnx"),
    "model not in image": ({"model": {"uri": in_image("missing.onnx")}}, "ModelNotFound", "missing.onnx"),
    "wrong digest": ({"model": {"sha256": "0" * 64}}, "DigestMismatch", "0" * 64),
    "wrong number of labels": ({"model": {"labels": {"inline": ["red", "green"]}}}, "LabelsMismatch", "2"),
    "failing self-test": (
        {"selfTest": [{"image": {"uri": in_image("blue.png")}, "label": "green"}]}, "SelfTestFailed", "green",
    ),
    "image that can't be pulled": (
        {"model": {"uri": "image://registry.invalid/none:1/model.onnx"}}, "ImagePullFailed", "registry.invalid/none:1",
    ),
    "image without cp": (
        {"model": {"uri": f"image://{environment.PAUSE_IMAGE}/pause"}}, "ImageHasNoCp", environment.PAUSE_IMAGE,
    ),
    "not a model": ({"model": {"uri": in_image("labels.txt")}}, "ModelInvalid", ""),
    "no node takes it": ({"pod": {"nodeSelector": {"disk": "ssd"}}}, "Unschedulable", "node"),
    "out of memory": (
        {"runtime": {"resources": {"limits": {"memory": "24Mi"}, "requests": {"memory": "24Mi"}}}},
        "OutOfMemory", "memory",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def served(no_wide_operator: Cluster, chart_values: list[str]) -> Iterator[str]:
    """A namespace with an operator of its own, in which `photos` is served."""
    cluster = no_wide_operator
    with environment.a_namespace(cluster, NAMESPACE):
        environment.install_namespaced_operator(cluster, NAMESPACE, *chart_values)
        cluster.apply(good())
        cluster.until("imageclassifiers", NAMESPACE, "photos", has("RouteReady", "True"))
        yield NAMESPACE


@pytest.fixture
def answering(cluster: Cluster, served: str) -> str:
    """The same, with `photos` ready."""
    mend(cluster)
    cluster.until("imageclassifiers", served, "photos", ready)
    return served


def good() -> Object:
    return classifier("photos", NAMESPACE, route=ingress("photos", NAMESPACE))


def mend(cluster: Cluster) -> None:
    whole = [{"op": "replace", "path": "/spec", "value": good()["spec"]}]
    cluster.patch("imageclassifiers", NAMESPACE, "photos", whole)


@pytest.mark.parametrize(("change", "reason", "said"), FAILURES.values(), ids=list(FAILURES))
def test_a_failure_is_named_while_the_old_revision_answers_and_mending_is_enough(
    cluster: Cluster, answering: str, change: Object, reason: str, said: str
) -> None:
    with Load(f"{environment.INGRESS}/api/v1/predict", host("photos", answering), picture("red")) as load:
        cluster.patch("imageclassifiers", answering, "photos", {"spec": change})
        found = cluster.until("imageclassifiers", answering, "photos", has("Ready", "False", reason))
    assert found is not None
    assert said in condition(found, "Ready")["message"]
    assert condition(found, "ModelServed")["status"] == "True"
    assert found["status"]["lastFailure"]["reason"] == reason
    assert not load.failures
    mend(cluster)
    cluster.until("imageclassifiers", answering, "photos", ready)


def test_a_first_revision_that_fails_is_named_too(cluster: Cluster, served: str) -> None:
    first = "first"
    cluster.apply(classifier(first, served, model={"uri": f"{environment.FILES}/missing.onnx"}))
    found = cluster.until("imageclassifiers", served, first, has("Ready", "False", "ModelNotFound"))
    assert condition(found, "ModelServed")["status"] == "False"
    cluster.apply(classifier(first, served, model={"uri": f"{environment.FILES}/model.onnx"}))
    cluster.until("imageclassifiers", served, first, ready)


def test_a_namespace_that_takes_no_more_pods_is_told(cluster: Cluster, served: str) -> None:
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "none", "namespace": served}}
    cluster.apply({**quota, "spec": {"hard": {"pods": "0"}}})
    cluster.until("resourcequotas", served, "none", lambda found: "hard" in (found or {}).get("status", {}))
    cluster.apply(classifier("forbidden", served))
    found = cluster.until("imageclassifiers", served, "forbidden", has("Ready", "False", "PodsForbidden"))
    assert "quota" in condition(found, "Ready")["message"]
    cluster.kubectl("-n", served, "delete", "resourcequota/none")
    cluster.until("imageclassifiers", served, "forbidden", ready)


def test_a_spec_that_only_the_operator_can_judge_is_named(cluster: Cluster, served: str) -> None:
    golden = {"image": {"uri": in_image("red.png")}, "label": "purple"}
    cluster.apply(classifier("odd", served, selfTest=[golden]))
    found = cluster.until("imageclassifiers", served, "odd", has("Ready", "False", "SpecInvalid"))
    assert "selfTest names the label 'purple'" in condition(found, "Ready")["message"]
    cluster.patch("imageclassifiers", served, "odd", {"spec": {"replicas": 0, "selfTest": None}})
    cluster.until("imageclassifiers", served, "odd", has("Ready", "False", "ScaledToZero"))
