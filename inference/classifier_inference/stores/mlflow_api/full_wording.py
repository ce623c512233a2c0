"""Failures of MLflow, for messages that stand alone: each names the server."""

from http import HTTPStatus

import httpx2

from classifier_inference.stores.mlflow_api.answers import Answer, judge
from classifier_inference.stores.store_error import MlflowError, Trouble, UncertainError

_BUSY = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS}
_UNREACHED = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.UnsupportedProtocol)


class FullWording:
    """Says which server it was, and what it said; tells what may have been done from what was not."""

    def __init__(self, address: str) -> None:
        """`address`: the server's, as it may be shown."""
        self._address = address

    def tell_break(self, error: httpx2.RequestError) -> MlflowError:
        """Return what a client's exception means."""
        words = str(error) or type(error).__name__
        if isinstance(error, _UNREACHED):
            return MlflowError(Trouble.AWAY, f"{self._address} can't be reached: {words}")
        return self._tell_uncertain(words)

    def tell_excess(self, limit_bytes: int) -> MlflowError:
        """Return that there was no end to it."""
        return self._tell_uncertain(f"it is over {limit_bytes} bytes")

    def tell_refusal(self, answer: Answer) -> MlflowError:
        """Return what a refusal means, with MLflow's own message."""
        code = answer.code
        told = f"{code}: {answer.message('')}" if code else _begin(answer)
        message = f"{self._address} answered {answer.status} {told}"[:1000]
        missing = answer.status == HTTPStatus.NOT_FOUND and code in {"RESOURCE_DOES_NOT_EXIST", "NOT_FOUND"}
        trouble = judge(answer, busy=_BUSY, missing=missing)
        if trouble is Trouble.NOT_MLFLOW:
            return self.tell_stranger(answer)
        if trouble is Trouble.FAILING and answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return UncertainError(trouble, message)
        return MlflowError(trouble, message)

    def tell_stranger(self, answer: Answer) -> MlflowError:
        """Return how the answer is not MLflow's."""
        kind = answer.kind or "no content type"
        message = f"{self._address} does not answer as MLflow does: {answer.status}, {kind}: {_begin(answer)}"
        return MlflowError(Trouble.NOT_MLFLOW, message)

    def _tell_uncertain(self, words: str) -> UncertainError:
        return UncertainError(Trouble.AWAY, f"{self._address} gave no answer: {words}")


def _begin(answer: Answer) -> str:
    return " ".join(answer.content[:200].decode(errors="replace").split())
