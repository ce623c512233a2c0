"""JSON that strangers send: parsed only where it can't take many times its bytes. No I/O."""

from typing import TypeVar

import orjson
from pydantic import BaseModel, ValidationError

from classifier_inference.http.problem import Kind, ProblemError

MOST_VALUES = 1_000_000
"""Values that JSON may have: parsed, each takes tens of bytes, and no other thread runs meanwhile."""

SchemaT = TypeVar("SchemaT", bound=BaseModel)


def parse_json(text: bytes, schema: type[SchemaT]) -> SchemaT:
    """Return the text as the schema has it. Raises ProblemError that names what doesn't fit."""
    if sum(map(text.count, (b",", b"[", b"{"))) > MOST_VALUES:
        raise ProblemError(Kind.TOO_MANY_BYTES, f"JSON may have at most {MOST_VALUES} values: send them in binary")
    try:
        return schema.model_validate(orjson.loads(text))
    except orjson.JSONDecodeError as error:
        raise ProblemError(Kind.MALFORMED_JSON, str(error)) from None
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise ProblemError(Kind.INVALID_INPUT, f"{where}: {first['msg']}" if where else first["msg"]) from None
