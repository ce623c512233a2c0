"""What the object's models are made of: their base, quantities, addresses, and rules that span fields. No I/O."""

from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, WithJsonSchema
from pydantic.alias_generators import to_camel

from classifier_inference.quantity import QUANTITY_PATTERN, parse_quantity
from classifier_inference.uri import parse_uri

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


def _checked_uri(uri: str) -> str:
    parse_uri(uri)
    return uri


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

URI_RULES: list[JsonValue] = [
    {
        "rule": r"self.startsWith('https://') || self.matches('^image://\\S*[^\\s/:@]+[:@][^\\s/@]+/[^\\s:@]+$')",
        "message": "use image://reference:tag/path or https://host/path (file: works with no cluster alone)",
    }
]
Uri = Annotated[
    str,
    AfterValidator(_checked_uri),
    Field(min_length=1, max_length=2048, json_schema_extra={"x-kubernetes-validations": URI_RULES}),
]
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
