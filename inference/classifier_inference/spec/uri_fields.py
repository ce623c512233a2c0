"""Addresses as fields: what the parser takes, and the same as rules of the CRD. No I/O.

The rules are in CEL, whose regular expressions are RE2's. They are stricter than the parser in what no address needs:
white space and control characters of any alphabet, and hosts that aren't ASCII.
"""

from typing import Annotated, Any

from pydantic import AfterValidator, Field, JsonValue

from classifier_inference.spec.uri import ModelsUri, parse_uri

BLANK = r"\p{Z}\p{C}"


def _make_path(excluded: str) -> str:
    """Return a pattern for parts between slashes, none of them empty, `.` or `..`, without the excluded characters."""
    character, not_a_dot = f"[^{excluded}]", f"[^.{excluded}]"
    part = rf"({not_a_dot}{character}*|\.{not_a_dot}{character}*|\.\.{character}+)"
    return f"{part}(/{part})*"


_HTTPS = (
    r"https://([-A-Za-z0-9._~%!$&()*+,;=:]*@)?[A-Za-z0-9]([-A-Za-z0-9._]*[A-Za-z0-9])?(:[0-9]{1,5})?"
    rf"([/?#][^{BLANK}]*)?"
)
_IMAGE = rf"image://[^{BLANK}]*[^/:@{BLANK}]+[:@][^/@{BLANK}]+/{_make_path(f'/:@{BLANK}')}"
_FILE = _make_path(rf"/\\{BLANK}")
_S3 = rf"s3://[a-z0-9][-.a-z0-9]{{1,61}}[a-z0-9]/{_FILE}"
_VERSION = rf"models:/[^/:@{BLANK}]([^/:@\p{{C}}]*[^/:@{BLANK}])?(/[1-9][0-9]{{0,9}}|@[A-Za-z_][-.\w]*)"


def _make_rules(models: str, written: str) -> list[JsonValue]:
    rule = f"self.matches(r'^({_HTTPS}|{_IMAGE}|{_S3}|{models})$')"
    message = f"use image://reference:tag/path, https://…, s3://bucket/key or {written} (file: works without a cluster)"
    return [{"rule": rule, "message": message}]


URI_RULES = _make_rules(f"{_VERSION}/{_FILE}", "models:/name@alias/path")
MODEL_URI_RULES = _make_rules(_VERSION, "models:/name/version, models:/name@alias")


def _checked_uri(uri: str) -> str:
    address = parse_uri(uri)
    if isinstance(address, ModelsUri) and not address.path:
        raise ValueError(f"{uri!r} names a model: add the path of a file of it, as in {uri}/labels.txt")
    return uri


def _checked_model_uri(uri: str) -> str:
    address = parse_uri(uri)
    if isinstance(address, ModelsUri) and address.path:
        raise ValueError(
            f"{uri!r} names a file of a model: leave /{address.path} out, MLmodel says which is the ONNX one"
        )
    return uri


def _make_field(rules: list[JsonValue]) -> Any:
    return Field(min_length=1, max_length=2048, json_schema_extra={"x-kubernetes-validations": rules})


Uri = Annotated[str, AfterValidator(_checked_uri), _make_field(URI_RULES)]
"""The address of a file."""

ModelUri = Annotated[str, AfterValidator(_checked_model_uri), _make_field(MODEL_URI_RULES)]
"""The address of a model: a file, or a version in MLflow's registry."""
