"""Requests to one MLflow server, by httpx2."""

import math
import ssl
import time
from collections.abc import Callable, Generator, Mapping
from typing import Any, TypeVar

import httpx2
import orjson

from classifier_inference.stores.mlflow_api.answers import Answer, Wording

API = "/api/2.0/mlflow"

ToldT = TypeVar("ToldT")


class MlflowServer:
    """One MLflow server, with the credentials in MLflow's own variables; for one thread at a time.

    Raises StoreError, as `wording` tells it.
    """

    def __init__(
        self,
        uri: str,
        wording: Wording,
        *,
        environment: Mapping[str, str],
        headers: Mapping[str, str],
        timeout: httpx2.Timeout | float,
        verify: ssl.SSLContext | bool,
        most_bytes: int,
        answer_seconds: float = math.inf,
    ) -> None:
        """`most_bytes`: how large an answer may be; `answer_seconds`: how long it may take to its last byte."""
        self._wording = wording
        self._most_bytes = most_bytes
        self._answer_seconds = answer_seconds
        # Those in the address are taken by the client itself.
        auth = None if httpx2.URL(uri).userinfo else read_credentials(environment)
        self.http = httpx2.Client(base_url=uri, headers=headers, auth=auth, timeout=timeout, verify=verify)

    def close(self) -> None:
        """Close the connections."""
        self.http.close()

    def call(self, method: str, path: str, content: Mapping[str, Any], parse: Callable[[Any], ToldT]) -> ToldT:
        """Return what is told by the answer's JSON, an object."""
        if method == "GET":
            answer = self.send(method, f"{API}/{path}", params=content)
        else:
            body = orjson.dumps(content)
            answer = self.send(method, f"{API}/{path}", content=body, headers={"Content-Type": "application/json"})
        try:
            if answer.said is not None:
                return parse(answer.said)
        except (AttributeError, KeyError, TypeError, ValueError):
            pass
        raise self._wording.tell_stranger(answer)

    def send(self, method: str, path: str, **request: Any) -> Answer:
        """Return the whole of a successful answer."""
        try:
            with self.http.stream(method, path, **request) as response:
                answer = self._read(response)
        except httpx2.RequestError as error:
            raise self._wording.tell_break(error) from None
        if not answer.is_success:
            raise self._wording.tell_refusal(answer)
        return answer

    def _read(self, response: httpx2.Response) -> Answer:
        until = time.monotonic() + self._answer_seconds
        content = bytearray()
        for piece in response.iter_bytes():
            content += piece
            if time.monotonic() > until:
                raise httpx2.ReadTimeout(f"it went on for {self._answer_seconds:g} s")
            if len(content) > self._most_bytes:
                raise self._wording.tell_excess(self._most_bytes)
        return Answer(response.status_code, response.headers.get("content-type", ""), bytes(content))


def read_credentials(environment: Mapping[str, str]) -> httpx2.Auth | None:
    """Return what MLflow's own variables for credentials ask for."""
    token, user, password = (environment.get(f"MLFLOW_TRACKING_{each}") for each in ("TOKEN", "USERNAME", "PASSWORD"))
    if token:
        return _BearerAuth(token)
    return httpx2.BasicAuth(user, password) if user and password else None


class _BearerAuth(httpx2.Auth):
    def __init__(self, token: str) -> None:
        self._token = token

    def auth_flow(self, request: httpx2.Request) -> Generator[httpx2.Request, httpx2.Response, None]:
        request.headers["Authorization"] = f"Bearer {self._token}"
        yield request
