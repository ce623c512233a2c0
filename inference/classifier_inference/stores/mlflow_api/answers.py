"""What an MLflow server answers, what that means, and who words it. No I/O."""

from collections.abc import Container
from dataclasses import dataclass
from functools import cached_property
from http import HTTPStatus
from typing import Any, Protocol

import httpx2
import orjson

from classifier_inference.stores.store_error import StoreError, Trouble

LOCKED_OUT = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}


@dataclass(frozen=True)
class Answer:
    """A status, a Content-Type, and what came with them."""

    status: int
    kind: str
    content: bytes

    @property
    def is_success(self) -> bool:
        """Whether it holds what was asked for."""
        return 200 <= self.status < 300

    @cached_property
    def said(self) -> dict[str, Any] | None:
        """Its JSON, an object; None where it is something else."""
        try:
            said = orjson.loads(self.content)
        except orjson.JSONDecodeError:
            return None
        return said if isinstance(said, dict) else None

    @property
    def code(self) -> Any:
        """MLflow's word for what is wrong; None where it isn't MLflow that refuses."""
        return (self.said or {}).get("error_code")

    def message(self, otherwise: str) -> Any:
        """Return MLflow's sentence on what is wrong."""
        return (self.said or {}).get("message", otherwise)


class Wording(Protocol):
    """How failures are told to whoever reads of them."""

    def tell_break(self, error: httpx2.RequestError) -> StoreError:
        """Return what is to be raised where no answer came."""

    def tell_excess(self, limit_bytes: int) -> StoreError:
        """Return what is to be raised for an answer that is larger than any of MLflow's."""

    def tell_refusal(self, answer: Answer) -> StoreError:
        """Return what is to be raised for an answer without success."""

    def tell_stranger(self, answer: Answer) -> StoreError:
        """Return what is to be raised for an answer that isn't MLflow's."""


def judge(answer: Answer, *, busy: Container[int], missing: bool) -> Trouble:
    """Return what an answer without success means.

    `busy`: statuses under 500 that may be gone a moment later. `missing`: whether MLflow, if it is MLflow that refuses,
    has nothing of that name.
    """
    if answer.status in LOCKED_OUT:
        return Trouble.LOCKED_OUT
    if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR or answer.status in busy:
        return Trouble.FAILING
    if answer.code is None:
        return Trouble.NOT_MLFLOW
    return Trouble.NO_OBJECT if missing else Trouble.BAD_REQUEST
