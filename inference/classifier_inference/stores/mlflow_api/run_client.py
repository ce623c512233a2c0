"""Speaks MLflow's REST API, version 2.0, by httpx2: mlflow itself takes seconds and 150 MB to import."""

import base64
import os
import ssl
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import httpx2
import orjson

from classifier_inference.report.sink_state import SinkReason
from classifier_inference.stores.https import printable
from classifier_inference.stores.mlflow_api.run_data import (
    FINISHED,
    Artifact,
    Run,
    pairs,
    parse_artifacts,
    parse_experiment,
    parse_run,
    parse_runs,
)
from classifier_inference.stores.store_error import RefusedError, Sink, SinkError

API = "/api/2.0/mlflow"
ARTIFACTS_API = "/api/2.0/mlflow-artifacts/artifacts"
MOST_METRICS = 1000
"""How many metrics one request may log."""
TIMEOUT = httpx2.Timeout(30, connect=5)
ANSWER_SECONDS = 120.0
"""How long an answer may take to its last byte, however steadily bytes come."""
MOST_ANSWER_BYTES = 256 * 2**20
"""An artifact's too."""

_RUNS_FIRST = {"mlflow.experimentKind": "custom_model_development"}
"""Has MLflow's pages show the experiment's runs; else they look for traces of language models."""

_PASSING = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS}
_LOCKED_OUT = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}

ToldT = TypeVar("ToldT")


class NotFoundError(RefusedError):
    """MLflow knows no such thing."""


class UncertainError(SinkError):
    """A request may have been taken or not: the connection broke after it was sent."""


@dataclass(frozen=True)
class _Answer:
    status: int
    kind: str
    """The Content-Type."""
    content: bytes

    @property
    def beginning(self) -> str:
        return " ".join(self.content[:200].decode(errors="replace").split())


def read_credentials(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the headers that MLflow's own variables for credentials ask for."""
    if token := environment.get("MLFLOW_TRACKING_TOKEN"):
        return {"Authorization": f"Bearer {token}"}
    user, password = (environment.get(f"MLFLOW_TRACKING_{name}") for name in ("USERNAME", "PASSWORD"))
    if user and password:
        return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}
    return {}


class MlflowClient:
    """A client of one MLflow server; for one thread at a time.

    Every method raises SinkError where the server is away, lets nobody in or isn't MLflow, and RefusedError where it
    refuses the request.
    """

    def __init__(
        self,
        uri: str,
        headers: Mapping[str, str] | None = None,
        timeout: httpx2.Timeout | float = TIMEOUT,
        verify: ssl.SSLContext | bool = True,
        answer_seconds: float = ANSWER_SECONDS,
    ) -> None:
        self._answer_seconds = answer_seconds
        self._shown = printable(uri).rstrip("/")
        headers = {"User-Agent": "classifier", **(read_credentials() if headers is None else headers)}
        self._http = httpx2.Client(base_url=uri.rstrip("/"), headers=headers, timeout=timeout, verify=verify)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def find_experiment(self, name: str) -> str | None:
        """Return an experiment's id, or None if there is none. RefusedError for one that was deleted."""
        try:
            found_id, stage = self._call("GET", "experiments/get-by-name", {"experiment_name": name}, parse_experiment)
        except NotFoundError:
            return None
        if stage == "deleted":
            message = f"the experiment {name!r} was deleted in MLflow: restore it, or name another"
            raise SinkError(Sink.TRACKING, SinkReason.REFUSED, message)
        return found_id

    def ensure_experiment(self, name: str) -> str:
        """Return the id of the experiment of a name, made if there was none."""
        found = self.find_experiment(name)
        if found is not None:
            return found
        content = {"name": name, "tags": pairs(_RUNS_FIRST)}
        try:
            return self._call("POST", "experiments/create", content, lambda said: str(said["experiment_id"]))
        except RefusedError:
            found = self.find_experiment(name)  # somebody else may have made it meanwhile
            if found is None:
                raise
            return found

    def create_run(self, experiment_id: str, name: str, start_ms: int, tags: Mapping[str, str]) -> Run:
        """Return a new run. UncertainError: there may be one that nobody was told of."""
        content = {"experiment_id": experiment_id, "run_name": name, "start_time": start_ms, "tags": pairs(tags)}
        return self._call("POST", "runs/create", content, lambda said: parse_run(said["run"]))

    def find_runs(
        self, experiment_id: str, wanted: str, most: int | None = None, order_by: Sequence[str] = ()
    ) -> Iterator[Run]:
        """Yield the active runs that MLflow's search syntax asks for."""
        token: str | None = ""
        while token is not None and (most is None or most > 0):
            content = {
                "experiment_ids": [experiment_id],
                "filter": wanted,
                "run_view_type": "ACTIVE_ONLY",
                "max_results": min(most or 500, 500),
                "order_by": list(order_by),
                **({"page_token": token} if token else {}),
            }
            runs, token = self._call("POST", "runs/search", content, parse_runs)
            yield from runs
            most = None if most is None else most - len(runs)

    def get_run(self, run_id: str) -> Run | None:
        """Return a run, or None for an id that MLflow doesn't know."""
        try:
            return self._call("GET", "runs/get", {"run_id": run_id}, lambda said: parse_run(said["run"]))
        except NotFoundError:
            return None

    def log_batch(
        self, run_id: str, time_ms: int, metrics: Mapping[str, float], params: Mapping[str, str] | None = None
    ) -> None:
        """Log metrics (at most 1000) and params; the same again changes nothing."""
        values = [{"key": key, "value": value, "timestamp": time_ms, "step": 0} for key, value in metrics.items()]
        self._call("POST", "runs/log-batch", {"run_id": run_id, "metrics": values, "params": pairs(params or {})}, dict)

    def end_run(self, run_id: str, end_ms: int, status: str = FINISHED) -> None:
        """Say how a run has ended: well, if nothing else is said."""
        self._call("POST", "runs/update", {"run_id": run_id, "status": status, "end_time": end_ms}, dict)

    def delete_run(self, run_id: str) -> None:
        """Mark a run as deleted; `mlflow gc` on the server removes such runs. None of that id is fine too."""
        try:
            self._call("POST", "runs/delete", {"run_id": run_id}, dict)
        except NotFoundError:
            return

    def list_artifacts(self, run_id: str, folder: str = "") -> list[Artifact]:
        """Return what lies in a folder of a run's artifacts."""
        asked = {"run_id": run_id, **({"path": folder} if folder else {})}
        return self._call("GET", "artifacts/list", asked, parse_artifacts)

    def put_artifact(self, uri: str, content: bytes | Path) -> None:
        """Store a file at a `mlflow-artifacts:` address, through the server."""
        if isinstance(content, bytes):
            self._send("PUT", _artifact_path(uri), content=content)
            return
        with content.open("rb") as file:
            self._send(
                "PUT",
                _artifact_path(uri),
                content=iter(lambda: file.read(2**16), b""),
                headers={"Content-Length": str(content.stat().st_size)},
            )

    def get_artifact(self, uri: str) -> bytes:
        """Return the file at a `mlflow-artifacts:` address. Raises NotFoundError where there is none."""
        return self._send("GET", _artifact_path(uri)).content

    def delete_artifacts(self, uri: str) -> None:
        """Delete a file or folder at a `mlflow-artifacts:` address; it is fine if there is none."""
        try:
            self._send("DELETE", _artifact_path(uri))
        except NotFoundError:
            return

    def _call(self, method: str, path: str, content: Mapping[str, Any], parse: Callable[[Any], ToldT]) -> ToldT:
        """Return what is told by the answer's JSON, an object."""
        if method == "GET":
            answer = self._send(method, f"{API}/{path}", params=content)
        else:
            body = orjson.dumps(content)
            answer = self._send(method, f"{API}/{path}", content=body, headers={"Content-Type": "application/json"})
        said = _parse_json(answer.content)
        try:
            if said is not None:
                return parse(said)
        except (AttributeError, KeyError, TypeError, ValueError):
            pass
        raise self._something_else(answer)

    def _send(self, method: str, path: str, **request: Any) -> _Answer:
        try:
            with self._http.stream(method, path, **request) as response:
                answer = _Answer(response.status_code, response.headers.get("content-type", ""), self._read(response))
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.UnsupportedProtocol) as error:
            message = f"{self._shown} can't be reached: {_say(error)}"
            raise SinkError(Sink.TRACKING, SinkReason.UNREACHABLE, message) from None
        except httpx2.HTTPError as error:
            message = f"{self._shown} gave no answer: {_say(error)}"
            raise UncertainError(Sink.TRACKING, SinkReason.UNREACHABLE, message) from None
        if not response.is_success:
            raise self._explain(answer)
        return answer

    def _read(self, response: httpx2.Response) -> bytes:
        until = time.monotonic() + self._answer_seconds
        content = bytearray()
        for piece in response.iter_bytes():
            content += piece
            if time.monotonic() > until:
                raise httpx2.ReadTimeout(f"it went on for {self._answer_seconds:g} s")
            if len(content) > MOST_ANSWER_BYTES:
                raise httpx2.ReadError(f"it is over {MOST_ANSWER_BYTES} bytes")
        return bytes(content)

    def _explain(self, answer: _Answer) -> SinkError:
        status, said = answer.status, _parse_json(answer.content) or {}
        code = said.get("error_code")
        told = f"{code}: {said.get('message', '')}" if code else answer.beginning
        message = f"{self._shown} answered {status} {told}"[:1000]
        if status in _LOCKED_OUT:
            return SinkError(Sink.TRACKING, SinkReason.REFUSED, message)
        if status in _PASSING:
            return SinkError(Sink.TRACKING, SinkReason.FAILED, message)
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return UncertainError(Sink.TRACKING, SinkReason.FAILED, message)
        if code is None:
            return self._something_else(answer)
        missing = status == HTTPStatus.NOT_FOUND and code in {"RESOURCE_DOES_NOT_EXIST", "NOT_FOUND"}
        return (NotFoundError if missing else RefusedError)(Sink.TRACKING, SinkReason.REFUSED, message)

    def _something_else(self, answer: _Answer) -> SinkError:
        kind = answer.kind or "no content type"
        message = f"{self._shown} does not answer as MLflow does: {answer.status}, {kind}: {answer.beginning}"
        return SinkError(Sink.TRACKING, SinkReason.NOT_MLFLOW, message)


def _parse_json(content: bytes) -> dict[str, Any] | None:
    try:
        said = orjson.loads(content)
    except orjson.JSONDecodeError:
        return None
    return said if isinstance(said, dict) else None


def _artifact_path(uri: str) -> str:
    """Return the path by which the server takes what lies at `mlflow-artifacts:/path`, any host in it left out."""
    path = uri.removeprefix("mlflow-artifacts:")
    if path.startswith("//"):
        path = path[2:].partition("/")[2]
    return f"{ARTIFACTS_API}/{quote(path.lstrip('/'))}"


def _say(error: Exception) -> str:
    return str(error) or type(error).__name__
