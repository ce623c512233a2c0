"""Quantities and lengths of time as fields: what the parser takes, and the same as the CRD's schema. No I/O."""

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BeforeValidator, GetCoreSchemaHandler, GetJsonSchemaHandler, PlainSerializer, WithJsonSchema
from pydantic_core import CoreSchema, core_schema

from classifier_inference.spec.duration import DURATION_PATTERN, parse_duration, render_duration
from classifier_inference.spec.quantity import QUANTITY_PATTERN, parse_quantity

WHOLE_LIMIT = 2**63 - 1
"""Kubernetes' own, to which it cuts down what is larger."""
_WHOLE_PATTERN = r"^\+?([0-9]{1,19}(\.[0-9]{0,9})?|\.[0-9]{1,9})([KMGTPE]i|[kMGTPE]|[eE]\+?[0-9]{1,2})?$"
"""Kubernetes rounds up what is finer than nine decimals."""

Schema = dict[str, Any]


def _whole(text: str | int) -> int:
    value = parse_quantity(text)
    if value >= WHOLE_LIMIT or value != value.to_integral_value() or value <= 0:
        raise ValueError("must be a whole number over 0, and less than 2^63")
    return int(value)


def _checked_quantity(text: str | int) -> str:
    parse_quantity(text)
    return str(text)


def _with_rule(schema: Schema, rule: str, message: str) -> Schema:
    return schema | {"x-kubernetes-validations": [{"rule": rule, "message": message}]}


def _make_whole_schema(least: int) -> Schema:
    value = "quantity(string(self))"
    rule = (
        f"{value}.isInteger() && {value}.compareTo(quantity('{least}')) >= 0 && "
        f"{value}.isLessThan(quantity('{WHOLE_LIMIT}'))"
    )
    base = {"x-kubernetes-int-or-string": True, "pattern": _WHOLE_PATTERN}
    return _with_rule(base, rule, f"must be a whole number, at least {least}")


Quantity = Annotated[
    str,
    BeforeValidator(_checked_quantity),
    WithJsonSchema({"x-kubernetes-int-or-string": True, "pattern": QUANTITY_PATTERN}),
]
"""A Kubernetes quantity; kept as it was written."""

Whole = Annotated[int, BeforeValidator(_whole), WithJsonSchema(_make_whole_schema(1))]
"""A quantity that must be a whole number, such as 10Mi or 50M; kept as its value."""

Duration = Annotated[
    float,
    BeforeValidator(parse_duration),
    PlainSerializer(render_duration, return_type=str),
    WithJsonSchema({"type": "string", "pattern": DURATION_PATTERN, "maxLength": 32}),
]
"""A length of time such as 60s or 1h30m; kept in seconds."""


@dataclass(frozen=True)
class AtLeast:
    """Of a Whole: what it must not be under."""

    least: int

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Check it after the type's own checks."""
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(self, _schema: CoreSchema, _handler: GetJsonSchemaHandler) -> Schema:
        """Put it into the schema."""
        return _make_whole_schema(self.least)

    def _check(self, value: int) -> int:
        if value < self.least:
            raise ValueError(f"must be at least {self.least}")
        return value


@dataclass(frozen=True)
class Between:
    """Of a Duration: from and up to how many seconds it is."""

    least: int
    most: int

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Check it after the type's own checks."""
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> Schema:
        """Put it into the schema. CEL's durations know no days: these are taken first, and whole."""
        days = "int(self.substring(0, self.indexOf('d'))) * 86400"
        rest = "duration('0s' + self.substring(self.indexOf('d') + 1)).getSeconds()"
        most = f"{self.most} + (self.endsWith('d') ? 1 : 0)"
        rule = (
            "self.contains('d') ? self.matches('^[1-9][0-9]{0,5}d[^d]*$') && "
            f"{days} + {rest} >= {self.least} && {days} + {rest} < {most} : "
            f"duration(self) >= duration('{self.least}s') && duration(self) <= duration('{self.most}s')"
        )
        return _with_rule(handler(schema), rule, f"must be from {self.least} to {self.most} seconds; whole days, first")

    def _check(self, seconds: float) -> float:
        if not self.least <= seconds <= self.most:
            raise ValueError(f"must be from {self.least} to {self.most} seconds")
        return seconds
