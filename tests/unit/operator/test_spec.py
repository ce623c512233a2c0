"""How objects are understood, and what is said of those that can't be."""

from typing import Any

import pytest

from classifier_operator.spec import SpecError, parse_image_classifier
from tests.unit.operator.objects import SPEC, body_of, classifier_of

MODEL = SPEC["model"]
LOGGED = {"tracking": {"mode": "Managed"}}


def test_every_field_but_the_model_and_its_labels_has_a_default() -> None:
    classifier = classifier_of()
    assert classifier.replicas == 1
    assert classifier.spec.preprocess.output_size == (224, 224)
    assert classifier.spec.limits.bytes == 10 * 2**20


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        ({}, "spec.model: Field required"),
        (SPEC | {"modle": {}}, "spec.modle: Extra inputs are not permitted"),
        ({"model": MODEL | {"uri": "file:model.onnx"}}, "spec.model.uri: file: works with no cluster alone"),
        ({"model": MODEL | {"uri": "image://registry.test/m/model.onnx"}}, "spec.model.uri: "),
        (
            {"model": MODEL | {"uri": "ftp://host/model.onnx"}},
            "spec.model.uri: 'ftp://host/model.onnx' has no",
        ),
        ({"model": MODEL | {"sha256": "abc"}}, "spec.model.sha256: "),
        (
            {"model": MODEL | {"labels": {"configMap": {"name": "../../other/configmaps/theirs", "key": "k"}}}},
            "spec.model.labels.configMap.name: ",
        ),
        ({"model": MODEL | {"labels": {"configMap": {"name": "a?watch=1", "key": "k"}}}}, "labels.configMap.name: "),
        ({"model": MODEL | {"labels": {"configMap": {"name": "..", "key": "k"}}}}, "labels.configMap.name: "),
        (SPEC | {"limits": {"bytes": "9" * 5000}}, "spec.limits.bytes: must be a whole number"),
        ({"model": MODEL | {"labels": {}}}, "spec.model.labels: needs exactly one of uri, configMap, inline"),
        (SPEC | {"replicas": -1}, "spec.replicas: "),
        (SPEC | {"limits": {"bytes": "ten"}}, "spec.limits.bytes: 'ten' is not a quantity: write it as 10485760, 10Mi"),
        (SPEC | {"limits": {"bytes": "0"}}, "spec.limits.bytes: "),
        (SPEC | {"limits": {"bytes": str(2**63 - 1)}}, "spec.limits.bytes: "),
        (SPEC | {"route": {"ingress": {"path": "/a//b"}}}, "spec.route.ingress.path: "),
        (SPEC | {"route": {"cors": ["app.example.com"]}}, "spec.route.cors[0]: "),
        (SPEC | {"route": {"cors": ["https://app.example.com/"]}}, "spec.route.cors[0]: "),
        (SPEC | {"auth": {"secret": "A/B"}}, "spec.auth.secret: "),
        (SPEC | {"limits": {"bodyTimeout": "10ms"}}, "spec.limits.bodyTimeout: must be from 1 to 3600"),
        (SPEC | {"route": {"ingress": {"host": "a..b"}}}, "spec.route.ingress.host: "),
        (SPEC | LOGGED | {"predictionLog": {"spool": "1Ki"}}, "spec.predictionLog.spool: must be at least 1048576"),
        (SPEC | LOGGED | {"predictionLog": {"window": "2h"}}, "spec.predictionLog.window: must be from 1 to 3600"),
        (SPEC | LOGGED | {"storage": {"mode": "External", "endpoint": "http://a b", "bucket": "abc"}}, "endpoint: "),
        (
            SPEC | {"preprocess": {"resize": {"pad": [10, 10], "shorterSide": 3}}},
            "spec.preprocess.resize: needs exactly",
        ),
        (SPEC | {"preprocess": {"crop": 300}}, "spec.preprocess: crop (300) must not be over resize.shorterSide (256)"),
        (SPEC | {"preprocess": {"mean": [0.5]}}, "spec.preprocess: mean needs 3 value(s), one a channel of RGB"),
        (
            SPEC | {"selfTest": [{"image": {"uri": "https://h/i.jpg"}, "label": "cow"}]},
            "spec: selfTest names the label 'cow', which model.labels does not have",
        ),
        (
            SPEC | {"pod": {"env": [{"name": "CLASSIFIER_PORT"}]}},
            "spec.pod: env: 'CLASSIFIER_PORT' is set by",
        ),
        (SPEC | {"pod": {"labels": {"imageclassifier.dev/slot": "x"}}}, "spec.pod: labels: 'imageclassifier.dev/slot'"),
        (SPEC | {"pod": {"hostNetwork": True}}, "spec.pod.hostNetwork: Extra inputs are not permitted"),
    ],
)
def test_what_is_wrong_is_said_with_the_field_it_is_in(spec: dict[str, Any], complaint: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_image_classifier(body_of(spec))
    assert complaint in str(caught.value)


def test_every_wrong_field_is_named_at_once() -> None:
    with pytest.raises(SpecError) as caught:
        parse_image_classifier(body_of(SPEC | {"topK": 0, "replicas": "two"}))
    assert "spec.topK" in str(caught.value)
    assert "spec.replicas" in str(caught.value)
