"""What the object's models are made of: their base, names, and rules that span fields. No I/O."""

from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, JsonValue
from pydantic.alias_generators import to_camel


def cel(*rules: tuple[str, str]) -> ConfigDict:
    """Return the model settings that put CEL rules, each with its message, into the CRD: what spans fields."""
    validations: list[JsonValue] = [{"rule": rule, "message": message} for rule, message in rules]
    return ConfigDict(json_schema_extra={"x-kubernetes-validations": [*validations]})


def cel_exactly_one(*fields: str) -> ConfigDict:
    """Return the model settings for a CEL rule by which exactly one of the fields (camelCase) is set."""
    listed = ", ".join(f"has(self.{field})" for field in fields)
    return cel((f"[{listed}].exists_one(set, set)", f"needs exactly one of {', '.join(fields)}"))


Name = Annotated[
    str, Field(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$", max_length=253)
]
"""A DNS subdomain (RFC 1123), as the names of most of what Kubernetes has are."""

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
