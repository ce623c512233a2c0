"""What a user can mend is named soon, while the old revision answers; and mending it is all it takes."""

import json

import pytest

from tests.e2e import environment
from tests.e2e.classifiers import classifier, condition, has, host, in_image, ingress, picture, ready
from tests.e2e.cluster import Cluster, Event, Object, Recording
from tests.e2e.load import Load

NAMED_WITHIN = 10
REVISION = "imageclassifier.dev/revision"

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
    "out of memory": ({"runtime": {"resources": {"limits": {"memory": "24Mi"}}}}, "OutOfMemory", ""),
}  # fmt: skip


@pytest.mark.parametrize(("change", "reason", "said"), FAILURES.values(), ids=list(FAILURES))
def test_a_failure_is_named_while_the_old_revision_answers_and_mending_is_enough(
    operator: Cluster, namespace: str, authority: environment.Authority, change: Object, reason: str, said: str
) -> None:
    good = classifier("photos", namespace, route=ingress("photos", namespace))
    operator.apply(good)
    operator.until("imageclassifiers", namespace, "photos", ready)
    operator.until("imageclassifiers", namespace, "photos", has("RouteReady", "True"))
    with (
        operator.record(namespace, "pods", "imageclassifiers") as recording,
        Load(f"{environment.INGRESS}/api/v1/predict", host("photos", namespace), picture("red")) as load,
    ):
        operator.patch("imageclassifiers", namespace, "photos", {"spec": change})
        found = operator.until("imageclassifiers", namespace, "photos", has("Ready", "False", reason))
    assert said in condition(found, "Ready")["message"]
    assert condition(found, "ModelServed")["status"] == "True"
    assert found is not None
    assert found["status"]["lastFailure"]["reason"] == reason
    assert not load.failures
    delay = named(recording, reason).seen - first_sign(recording).seen
    assert delay <= NAMED_WITHIN, f"named {delay:.1f} s after its first sign"
    operator.kubectl("-n", namespace, "replace", "-f", "-", stdin=json.dumps(good))
    operator.until("imageclassifiers", namespace, "photos", ready)


def named(recording: Recording, reason: str) -> Event:
    return next(e for e in recording.of("imageclassifiers") if condition(e.object, "Ready").get("reason") == reason)


def first_sign(recording: Recording) -> Event:
    """Return the first event in which a pod of the new revision showed that something is wrong."""
    pods = recording.of("pods")
    old = pods[0].object["metadata"]["labels"][REVISION]
    return next(e for e in pods if e.object["metadata"]["labels"][REVISION] != old and shows_trouble(e.object))


def shows_trouble(pod: Object) -> bool:
    status = pod["status"]
    containers = [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]
    states = [each.get(key, {}) for each in containers for key in ("state", "lastState")]
    return (
        any(state.get("terminated", {}).get("exitCode", 0) != 0 for state in states)
        or any(state.get("waiting", {}).get("reason", "").startswith(("Err", "ImagePull")) for state in states)
        or any(each.get("reason") == "Unschedulable" for each in status.get("conditions", []))
    )


def test_a_first_revision_that_fails_is_named_too(
    operator: Cluster, namespace: str, authority: environment.Authority
) -> None:
    operator.apply(classifier("photos", namespace, model={"uri": f"{authority.url}/missing.onnx"}))
    found = operator.until("imageclassifiers", namespace, "photos", has("Ready", "False", "ModelNotFound"))
    assert condition(found, "ModelServed")["status"] == "False"
    operator.apply(classifier("photos", namespace, model={"uri": f"{authority.url}/rgb.onnx"}))
    operator.until("imageclassifiers", namespace, "photos", ready)


def test_a_namespace_that_takes_no_pods_is_told(operator: Cluster, namespace: str) -> None:
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "none", "namespace": namespace}}
    operator.apply({**quota, "spec": {"hard": {"pods": "0"}}})
    operator.apply(classifier("photos", namespace))
    found = operator.until("imageclassifiers", namespace, "photos", has("Ready", "False", "PodsForbidden"), within=20)
    assert "quota" in condition(found, "Ready")["message"]
    operator.kubectl("-n", namespace, "delete", "resourcequota/none")
    operator.until("imageclassifiers", namespace, "photos", ready)
