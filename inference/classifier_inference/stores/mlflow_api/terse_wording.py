"""Failures of MLflow, for messages that name what was asked for and its address themselves."""

from http import HTTPStatus

import httpx2

from classifier_inference.stores import https
from classifier_inference.stores.mlflow_api.answers import Answer, judge
from classifier_inference.stores.store_error import MlflowError, StoreError, Trouble

_BUSY = {HTTPStatus.TOO_MANY_REQUESTS}


class TerseWording:
    """Says what MLflow said, and names it only where it isn't MLflow."""

    def __init__(self, address: str) -> None:
        """`address`: the server's, as it may be shown."""
        self._address = address

    def tell_break(self, error: httpx2.RequestError) -> StoreError:
        """Return what a client's exception means."""
        return https.explain(error)

    def tell_excess(self, limit_bytes: int) -> StoreError:
        """Return that this is no MLflow."""
        return self._tell_stranger()

    def tell_refusal(self, answer: Answer) -> StoreError:
        """Return what a refusal means, with MLflow's own message."""
        code = answer.code
        message = f"MLflow answered {code}: {answer.message('no message')}"
        # MLflow says of an alias that isn't there that the parameter is invalid.
        missing = code == "RESOURCE_DOES_NOT_EXIST" or "not found" in message
        trouble = judge(answer, busy=_BUSY, missing=missing)
        if trouble is Trouble.NOT_MLFLOW:
            return self._tell_stranger()
        if trouble is Trouble.LOCKED_OUT:
            message = (
                f"MLflow answered {answer.status}: does the Secret that tracking.secret names hold a token, or "
                f"username and password, that it takes? {answer.message('')}"
            )
        elif trouble is Trouble.FAILING and not code:
            message = f"MLflow answered {answer.status}"
        return MlflowError(trouble, message)

    def tell_stranger(self, answer: Answer) -> StoreError:
        """Return that this is no MLflow."""
        return self._tell_stranger()

    def _tell_stranger(self) -> StoreError:
        return MlflowError(Trouble.NOT_MLFLOW, f"what answers at {self._address} is no MLflow server")
