"""What the object's models are made of: their base, quantities, addresses, and rules that span fields. No I/O."""

from typing import Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    PlainSerializer,
    WithJsonSchema,
)
from pydantic.alias_generators import to_camel

from classifier_inference.duration import DURATION_PATTERN, parse_duration, render_duration
from classifier_inference.quantity import QUANTITY_PATTERN, parse_quantity
from classifier_inference.uri import ModelsUri, parse_uri

WHOLE_LIMIT = 2**63 - 1
"""Kubernetes' own. Python refuses to write down numbers of thousands of digits."""


def _whole(text: str | int) -> int:
    value = parse_quantity(text)
    if value > WHOLE_LIMIT or value != value.to_integral_value() or value <= 0:
        raise ValueError("must be a whole number over 0, and less than 2^63")
    return int(value)


def _checked_quantity(text: str | int) -> str:
    parse_quantity(text)
    return str(text)


def at_least(least: int) -> AfterValidator:
    """Return the check of a quantity in bytes that it isn't less."""

    def check(value: int) -> int:
        if value < least:
            raise ValueError(f"must be at least {least} bytes")
        return value

    return AfterValidator(check)


def cel(*rules: tuple[str, str]) -> ConfigDict:
    """Return the model settings that put CEL rules, each with its message, into the CRD: what spans fields."""
    validations: list[JsonValue] = [{"rule": rule, "message": message} for rule, message in rules]
    return ConfigDict(json_schema_extra={"x-kubernetes-validations": [*validations]})


def cel_exactly_one(*fields: str) -> ConfigDict:
    """Return the model settings for a CEL rule by which exactly one of the fields (camelCase) is set."""
    listed = ", ".join(f"has(self.{field})" for field in fields)
    return cel((f"[{listed}].exists_one(set, set)", f"needs exactly one of {', '.join(fields)}"))


QUANTITY_SCHEMA: dict[str, Any] = {"x-kubernetes-int-or-string": True, "pattern": QUANTITY_PATTERN}

Whole = Annotated[int, BeforeValidator(_whole), WithJsonSchema(QUANTITY_SCHEMA)]
"""A quantity that must be a whole number, such as 10Mi or 50M; kept as its value."""

Quantity = Annotated[str, BeforeValidator(_checked_quantity), WithJsonSchema(QUANTITY_SCHEMA)]
"""A Kubernetes quantity; kept as it was written."""

Duration = Annotated[
    float,
    BeforeValidator(parse_duration),
    PlainSerializer(render_duration, return_type=str),
    WithJsonSchema({"type": "string", "pattern": DURATION_PATTERN, "maxLength": 32}),
]
"""A length of time such as 60s or 1h30m; kept in seconds."""

_IMAGE_PATTERN = r"image://\\S*[^\\s/:@]+[:@][^\\s/@]+/[^\\s:@]+"
_S3_PATTERN = r"s3://[a-z0-9][-.a-z0-9]{1,61}[a-z0-9]/[^\\s/](\\S*[^\\s/])?"
_VERSION_PATTERN = r"models:/[^\\s/:@]([^/:@\\n\\r]*[^\\s/:@])?(/[1-9][0-9]{0,9}|@[A-Za-z_][-.\\w]*)"


def _make_uri_rules(models: str, written: str) -> list[JsonValue]:
    pattern = f"^({_IMAGE_PATTERN}|{_S3_PATTERN}|{models})$"
    message = f"use image://reference:tag/path, https://…, s3://bucket/key or {written} (file: works without a cluster)"
    return [{"rule": f"self.startsWith('https://') || self.matches('{pattern}')", "message": message}]


URI_RULES = _make_uri_rules(rf"{_VERSION_PATTERN}/[^\\s/](\\S*[^\\s/])?", "models:/name@alias/path")
MODEL_URI_RULES = _make_uri_rules(_VERSION_PATTERN, "models:/name/version, models:/name@alias")


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


def _make_uri_field(rules: list[JsonValue]) -> Any:
    return Field(min_length=1, max_length=2048, json_schema_extra={"x-kubernetes-validations": rules})


Uri = Annotated[str, AfterValidator(_checked_uri), _make_uri_field(URI_RULES)]
"""The address of a file."""

ModelUri = Annotated[str, AfterValidator(_checked_model_uri), _make_uri_field(MODEL_URI_RULES)]
"""The address of a model: a file, or a version in MLflow's registry."""

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Label = Annotated[str, Field(min_length=1, max_length=256)]
Size = Annotated[int, Field(ge=1, le=8192)]
HeightWidth = Annotated[list[Size], Field(min_length=2, max_length=2)]


class Document(BaseModel):
    """Base of every part of the object: camelCase in the document, unknown fields refused, values not changeable."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True, protected_namespaces=()
    )


DocumentT = TypeVar("DocumentT", bound=Document)


def require_one(document: DocumentT, *fields: str) -> DocumentT:
    """Return the document if exactly one of the named fields (camelCase) is set; raise ValueError naming them."""
    dumped = document.model_dump(by_alias=True, exclude_none=True)
    if sum(field in dumped for field in fields) != 1:
        raise ValueError(f"needs exactly one of {', '.join(fields)}")
    return document
