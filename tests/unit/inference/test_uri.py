"""Addresses, as people write them, and as the CRD takes them."""

import re
from typing import Any

import pytest

from classifier_inference.spec.uri import HttpsUri, ModelsUri, S3Uri, parse_uri
from classifier_inference.spec.uri_fields import BLANK, MODEL_URI_RULES, URI_RULES

Named = list[tuple[str, S3Uri | ModelsUri]]
MODELS: Named = [
    ("models:/photos/3", ModelsUri("photos", "3")),
    ("models:/photos@champion", ModelsUri("photos", None, "champion")),
    ("models:/my photos, v2/12", ModelsUri("my photos, v2", "12")),
]
FILES: Named = [
    ("s3://models/a/b.onnx", S3Uri("models", "a/b.onnx")),
    ("s3://my.bucket-1/x", S3Uri("my.bucket-1", "x")),
    ("s3://models/a=1/ünï.onnx", S3Uri("models", "a=1/ünï.onnx")),
]
FILES_OF_MODELS: Named = [
    ("models:/photos/3/labels.txt", ModelsUri("photos", "3", None, "labels.txt")),
    ("models:/photos@champion/a/cat.jpg", ModelsUri("photos", None, "champion", "a/cat.jpg")),
]
WRONG = [
    "s3://models",
    "s3://models/",
    "s3://models/a/",
    "s3:///a",
    "s3://Models/a",
    "s3://m/a",
    "s3://models/a b",
    "s3:models/a",
    "models:/photos",
    "models:/photos/",
    "models:/photos/latest",
    "models:/photos/0",
    "models:/photos@",
    "models:/photos@a b",
    "models://photos/3",
    "models:photos/3",
    "models:/photos/3/",
    "models:/@champion",
    "ftp://host/a",
]
CLIMBING = ["s3://models/../a", "s3://models/a//b", "s3://models/./a", "models:/photos/3/../4", "models:/photos/3/a//b"]
HOSTLESS = ["https://", "https:///a", "https://:80/a", "https://me@/a", "https://[::g]/a"]


def allows(rules: list[Any], uri: str) -> bool:
    """Say what the CRD would: each rule is one regular expression, in which Python has no classes of Unicode."""
    (rule,) = rules
    match = re.fullmatch(r"self\.matches\(r'(.*)'\)", rule["rule"])
    assert match is not None
    pattern = match[1].replace(BLANK, r"\s").replace(r"\p{C}", r"\n")
    return re.fullmatch(pattern.strip("^$"), uri, re.ASCII) is not None


@pytest.mark.parametrize(("uri", "wanted"), MODELS + FILES + FILES_OF_MODELS)
def test_an_address_has_its_parts_and_is_written_the_same_again(uri: str, wanted: S3Uri | ModelsUri) -> None:
    assert parse_uri(uri) == wanted
    assert str(wanted) == uri


@pytest.mark.parametrize("uri", WRONG + CLIMBING + HOSTLESS)
def test_an_address_that_is_written_wrong_is_refused(uri: str) -> None:
    with pytest.raises(ValueError, match=re.escape(repr(uri))):
        parse_uri(uri)


@pytest.mark.parametrize("uri", [uri for uri, _ in MODELS + FILES])
def test_the_crd_takes_what_names_a_model(uri: str) -> None:
    assert allows(MODEL_URI_RULES, uri)


@pytest.mark.parametrize("uri", [uri for uri, _ in FILES + FILES_OF_MODELS])
def test_the_crd_takes_what_names_a_file(uri: str) -> None:
    assert allows(URI_RULES, uri)


@pytest.mark.parametrize("uri", [*WRONG, *CLIMBING, *HOSTLESS, "file:model.onnx"])
def test_the_crd_refuses_what_names_neither(uri: str) -> None:
    assert not allows(MODEL_URI_RULES, uri)
    assert not allows(URI_RULES, uri)


def test_the_crd_knows_a_model_from_a_file_of_it() -> None:
    assert not any(allows(MODEL_URI_RULES, uri) for uri, _ in FILES_OF_MODELS)
    assert not any(allows(URI_RULES, uri) for uri, _ in MODELS)


def test_an_alias_becomes_the_version_that_it_names() -> None:
    assert str(ModelsUri("photos", None, "champion", "labels.txt").at("7")) == "models:/photos/7/labels.txt"


def test_an_https_address_is_shown_without_what_may_be_secret() -> None:
    assert str(HttpsUri("https://me:secret@host/a/b?token=x#y")) == "https://host/a/b"
