"""What the API server refuses, and that it says which field."""

import pytest

from tests.e2e.classifiers import classifier
from tests.e2e.cluster import Cluster, Object

MALFORMED: dict[str, tuple[Object, str]] = {
    "unknown field": ({"replica": 2}, 'unknown field "spec.replica"'),
    "unknown nested field": ({"runtime": {"batching": {"maxSize": 8}}}, 'unknown field "spec.runtime.batching"'),
    "field of a later version": ({"autoscaling": {"max": 3}}, 'unknown field "spec.autoscaling"'),
    "two label sources": ({"model": {"labels": {"uri": "https://a/b"}}}, "spec.model.labels"),
    "no label source": ({"model": {"labels": {"inline": None}}}, "spec.model.labels"),
    "no model": ({"model": None}, "spec.model"),
    "file address": ({"model": {"uri": "file:model.onnx"}}, "spec.model.uri"),
    "image without tag": ({"model": {"uri": "image://server/model.onnx"}}, "spec.model.uri"),
    "bucket without key": ({"model": {"uri": "s3://models/"}}, "spec.model.uri"),
    "key with a space": ({"model": {"uri": "s3://models/a b"}}, "spec.model.uri"),
    "registry without tracking": ({"model": {"uri": "models:/photos/3"}}, "models:/ needs tracking"),
    "registry without version": ({"model": {"uri": "models:/photos"}}, "spec.model.uri"),
    "model that is a file of one": ({"model": {"uri": "models:/photos/3/model.onnx"}}, "spec.model.uri"),
    "labels that are a model": (
        {"model": {"labels": {"inline": None, "uri": "models:/photos/3"}}}, "spec.model.labels.uri",
    ),
    "digest too short": ({"model": {"sha256": "abc"}}, "spec.model.sha256"),
    "two resizes": ({"preprocess": {"resize": {"shorterSide": 9}}}, "spec.preprocess.resize"),
    "crop over resize": ({"preprocess": {"crop": 9}}, "spec.preprocess"),
    "two means": ({"preprocess": {"mean": [0, 0]}}, "spec.preprocess"),
    "wrong bytes": ({"limits": {"bytes": "10 MB"}}, "spec.limits.bytes"),
    "wrong memory": ({"runtime": {"resources": {"limits": {"memory": "lots"}}}}, "spec.runtime.resources.limits"),
    "negative replicas": ({"replicas": -1}, "spec.replicas"),
    "unknown device": ({"runtime": {"device": "tpu"}}, "spec.runtime.device"),
    "unknown strategy": ({"rollout": {"strategy": "Canary"}}, "spec.rollout.strategy"),
    "no predictions": ({"topK": 0}, "spec.topK"),
    "log without tracking": ({"predictionLog": {"images": True}}, "predictionLog needs tracking"),
    "MLflow without address": ({"tracking": {"mode": "External"}}, "mode External needs uri"),
    "managed MLflow with an address": ({"tracking": {"mode": "Managed", "uri": "http://a"}}, "no other mode takes it"),
    "store without bucket": (
        {"storage": {"mode": "External", "endpoint": "http://a"}}, "mode External needs endpoint and bucket",
    ),
    "managed store with a Secret": ({"storage": {"mode": "Managed", "secret": "a"}}, "secret belongs to mode External"),
    "wrong window": (
        {"tracking": {"mode": "Managed"}, "predictionLog": {"window": "1 minute"}}, "spec.predictionLog.window",
    ),
    "score over one": (
        {"selfTest": [{"image": {"uri": "https://a/b"}, "label": "red", "minScore": 2}]}, "spec.selfTest[0].minScore",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("change", "field"), MALFORMED.values(), ids=list(MALFORMED))
def test_a_malformed_object_is_refused_by_its_field(operator: Cluster, change: Object, field: str) -> None:
    assert field in operator.refuse(classifier("photos", "default", **change))


@pytest.mark.parametrize("name", ["a" * 51, "has.dot", "1st"])
def test_a_name_that_its_children_can_not_have_is_refused(operator: Cluster, name: str) -> None:
    assert "the name must be a DNS label of at most 50 characters" in operator.refuse(classifier(name, "default"))


def test_a_name_that_shared_objects_have_is_refused(operator: Cluster) -> None:
    assert "are the operator's" in operator.refuse(classifier("imageclassifier-mlflow", "default"))


def test_a_name_of_fifty_characters_is_taken(operator: Cluster, namespace: str) -> None:
    operator.apply(classifier("a" * 50, namespace, replicas=0))
    operator.until("deployments", namespace, "a" * 50, lambda found: found is not None, within=10)
