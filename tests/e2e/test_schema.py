"""What the API server refuses, and that it says which field."""

from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings

from classifier_operator.spec import SpecError, parse_image_classifier
from tests.e2e.classifiers import classifier
from tests.e2e.cluster import Cluster, Object
from tests.e2e.specs import specs

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
    "shorter side under the default crop": (
        {"preprocess": {"resize": {"exact": None, "shorterSide": 200}}}, "crop, which is 224 where it is absent",
    ),
    "path with an empty part": ({"route": {"ingress": {"path": "/a//b"}}}, "spec.route.ingress.path"),
    "path that climbs": ({"route": {"ingress": {"path": "/a/../b"}}}, "spec.route.ingress.path"),
    "host with an empty label": ({"route": {"ingress": {"host": "a..b"}}}, "spec.route.ingress.host"),
    "image's path that climbs": ({"model": {"uri": "image://m:1/a/../b"}}, "spec.model.uri"),
    "address without a host": ({"model": {"uri": "https:///a"}}, "spec.model.uri"),
    "labels of another model": (
        {"model": {"uri": "models:/m@a", "labels": {"inline": None, "uri": "models:/o@a/l.txt"}},
         "tracking": {"mode": "Managed"}}, "must be model.uri's own",
    ),
    "label of the operator's": ({"pod": {"labels": {"imageclassifier.dev/slot": "x"}}}, "is set by the operator"),
    "no bytes": ({"limits": {"bytes": 0}}, "spec.limits.bytes"),
    "half a byte": ({"limits": {"bytes": "0.5"}}, "must be a whole number"),
    "spool too small": (
        {"tracking": {"mode": "Managed"}, "predictionLog": {"spool": "1Ki"}}, "spec.predictionLog.spool",
    ),
    "window too long": (
        {"tracking": {"mode": "Managed"}, "predictionLog": {"window": "1d"}}, "must be from 1 to 3600 seconds",
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
    operator.until("deployments", namespace, "a" * 50, lambda found: found is not None)


IDENTITY = {"namespace": "default", "name": "any", "uid": "u", "generation": 1, "resourceVersion": "1"}
OF_THE_OPERATOR_ALONE = "which model.labels does not have"
"""Said of a selfTest's label: a rule of the CRD that looked for it among 25,000 would cost too much."""


def complaint_about(spec: Object) -> str | None:
    """Return what the operator has against a spec that the API server took, and that the API server might have."""
    try:
        parse_image_classifier({"metadata": IDENTITY, "spec": spec})
    except SpecError as error:
        return None if OF_THE_OPERATOR_ALONE in str(error) else str(error)
    return None


def test_what_the_api_server_takes_the_operator_understands(operator: Cluster) -> None:
    answers: Counter[int] = Counter()

    @given(specs())
    @settings(max_examples=200, derandomize=True, deadline=None, database=None, suppress_health_check=[*HealthCheck])
    def check(spec: Object) -> None:
        answer = operator.try_to_create("imageclassifiers", {**classifier("any", "default"), "spec": spec})
        answers[answer.status_code] += 1
        assert answer.status_code in {201, 400, 422}, answer.text
        if answer.status_code == 201:
            assert complaint_about(answer.json()["spec"]) is None

    check()
    assert min(answers[201], answers[422]) > 30, answers
