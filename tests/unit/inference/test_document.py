"""Reading an ImageClassifier from a file."""

import json
from pathlib import Path

import pytest
import yaml

from classifier_inference.files.document import parse_document, read_document
from classifier_inference.report.start_error import StartError
from classifier_inference.report.termination import Reason
from tests.tiny_model import build_document

DOCUMENT = build_document(Path("models"))


def test_json_and_yaml_are_read_alike() -> None:
    assert parse_document(json.dumps(DOCUMENT)) == parse_document(yaml.safe_dump(DOCUMENT))


def test_the_classifier_is_found_among_other_objects() -> None:
    text = "---\n".join(["kind: Namespace\n", yaml.safe_dump(DOCUMENT), "", "kind: Service\n"])
    assert parse_document(text).name == "colours"


def test_json_is_read_as_json_with_characters_that_yaml_folds_or_refuses() -> None:
    labels = ["a\x85b", "\x7f", "a\u2028b", "\ufeff"]
    model = {**DOCUMENT["spec"]["model"], "labels": {"inline": labels}}
    document = {**DOCUMENT, "spec": {**DOCUMENT["spec"], "model": model}}
    assert parse_document(json.dumps(document, ensure_ascii=False)).spec.model.labels.inline == labels


def test_fields_that_only_a_cluster_has_are_passed_over() -> None:
    cluster = {"replicas": 3, "rollout": {}, "route": {}, "pod": {"labels": {}}}
    document = {**DOCUMENT, "spec": {**DOCUMENT["spec"], **cluster}}
    assert parse_document(json.dumps(document)) == parse_document(json.dumps(DOCUMENT))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds 0 objects"),
        ("hello", "holds 0 objects"),
        ("a: [", "neither JSON nor YAML"),
        ("[" * 500, "neither JSON nor YAML"),
        (f"{json.dumps(DOCUMENT)}\n---\n{json.dumps(DOCUMENT)}", "holds 2 objects"),
        (json.dumps({**DOCUMENT, "apiVersion": "v1"}), "apiVersion must be imageclassifier.dev/v1alpha1"),
        (json.dumps({**DOCUMENT, "metadata": {}}), "metadata.name: "),
        (json.dumps({**DOCUMENT, "spec": None}), "metadata and spec are needed"),
        (json.dumps({**DOCUMENT, "spec": {**DOCUMENT["spec"], "topk": 3}}), "spec.topk: Extra inputs"),
        (json.dumps({**DOCUMENT, "spec": {**DOCUMENT["spec"], "topK": 0}}), "spec.topK: "),
        (json.dumps({**DOCUMENT, "spec": {**DOCUMENT["spec"], "model": {}}}), "spec.model.uri: .*spec.model.labels"),
    ],
)
def test_what_is_wrong_is_named(text: str, message: str) -> None:
    with pytest.raises(StartError, match=message) as caught:
        parse_document(text)
    assert caught.value.failure.reason is Reason.SPEC_INVALID


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(StartError, match=r"absent\.json can't be read: No such file"):
        read_document(tmp_path / "absent.json")
