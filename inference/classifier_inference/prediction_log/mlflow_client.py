"""Speaks MLflow's REST API, version 2.0, by httpx2: mlflow itself takes seconds and 150 MB to import."""

import base64
import os
import ssl
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2
import orjson

from classifier_inference.https import printable
from classifier_inference.log_state import SinkReason
from classifier_inference.prediction_log.mlflow_data import Artifact, Run, pairs, parse_run
from classifier_inference.prediction_log.sinks.errors import RefusedError, Sink, SinkError

API = "/api/2.0/mlflow"
ARTIFACTS_API = "/api/2.0/mlflow-artifacts/artifacts"
MOST_METRICS = 1000
"""How many metrics one request may log."""
TIMEOUT = httpx2.Timeout(30, connect=5)

_RUNS_FIRST = {"mlflow.experimentKind": "custom_model_development"}
"""Has MLflow's pages show the experiment's runs; else they look for traces of language models."""

_PASSING = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS}
_LOCKED_OUT = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}


class NotFoundError(RefusedError):
    """MLflow knows no such thing."""


class UncertainError(SinkError):
    """A request may have been taken or not: the connection broke after it was sent."""


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
    ) -> None:
        self._shown = printable(uri).rstrip("/")
        headers = {"User-Agent": "classifier", **(read_credentials() if headers is None else headers)}
        self._http = httpx2.Client(base_url=uri.rstrip("/"), headers=headers, timeout=timeout, verify=verify)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def find_experiment(self, name: str) -> str | None:
        """Return an experiment's id, or None if there is none. RefusedError for one that was deleted."""
        try:
            found = self._call("GET", "experiments/get-by-name", {"experiment_name": name}, "experiment")
        except NotFoundError:
            return None
        if found.get("lifecycle_stage") == "deleted":
            message = f"the experiment {name!r} was deleted in MLflow: restore it, or name another"
            raise SinkError(Sink.TRACKING, SinkReason.REFUSED, message)
        return str(found["experiment_id"])

    def ensure_experiment(self, name: str) -> str:
        """Return the id of the experiment of a name, made if there was none."""
        found = self.find_experiment(name)
        if found is not None:
            return found
        content = {"name": name, "tags": pairs(_RUNS_FIRST)}
        try:
            return str(self._call("POST", "experiments/create", content, "experiment_id"))
        except RefusedError:
            found = self.find_experiment(name)  # somebody else may have made it meanwhile
            if found is None:
                raise
            return found

    def create_run(self, experiment_id: str, name: str, start_ms: int, tags: Mapping[str, str]) -> Run:
        """Return a new run. UncertainError: there may be one that nobody was told of."""
        content = {"experiment_id": experiment_id, "run_name": name, "start_time": start_ms, "tags": pairs(tags)}
        return parse_run(self._call("POST", "runs/create", content, "run"))

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
            answer = self._call("POST", "runs/search", content)
            runs = answer.get("runs", [])
            yield from map(parse_run, runs)
            most = None if most is None else most - len(runs)
            token = answer.get("next_page_token") or None

    def get_run(self, run_id: str) -> Run | None:
        """Return a run, or None for an id that MLflow doesn't know."""
        try:
            return parse_run(self._call("GET", "runs/get", {"run_id": run_id}, "run"))
        except NotFoundError:
            return None

    def log_batch(
        self, run_id: str, time_ms: int, metrics: Mapping[str, float], params: Mapping[str, str] | None = None
    ) -> None:
        """Log metrics (at most 1000) and params; the same again changes nothing."""
        values = [{"key": key, "value": value, "timestamp": time_ms, "step": 0} for key, value in metrics.items()]
        self._call("POST", "runs/log-batch", {"run_id": run_id, "metrics": values, "params": pairs(params or {})})

    def finish_run(self, run_id: str, end_ms: int) -> None:
        """Say that a run has ended well."""
        self._call("POST", "runs/update", {"run_id": run_id, "status": "FINISHED", "end_time": end_ms})

    def delete_run(self, run_id: str) -> None:
        """Mark a run as deleted; `mlflow gc` on the server removes such runs. None of that id is fine too."""
        try:
            self._call("POST", "runs/delete", {"run_id": run_id})
        except NotFoundError:
            return

    def list_artifacts(self, run_id: str, folder: str = "") -> list[Artifact]:
        """Return what lies in a folder of a run's artifacts."""
        asked = {"run_id": run_id, **({"path": folder} if folder else {})}
        files = self._call("GET", "artifacts/list", asked).get("files", [])
        return [
            Artifact(file["path"], bool(file.get("is_dir")), int(file["file_size"]) if "file_size" in file else None)
            for file in files
        ]

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

    def _call(self, method: str, path: str, content: Mapping[str, Any], part: str | None = None) -> Any:
        """Return the answer's JSON, or a part of it that has to be there."""
        if method == "GET":
            response = self._send(method, f"{API}/{path}", params=content)
        else:
            body = orjson.dumps(content)
            response = self._send(method, f"{API}/{path}", content=body, headers={"Content-Type": "application/json"})
        answer = _parse_json(response)
        if answer is None or (part is not None and part not in answer):
            raise self._something_else(response)
        return answer if part is None else answer[part]

    def _send(self, method: str, path: str, **request: Any) -> httpx2.Response:
        try:
            response = self._http.request(method, path, **request)
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.UnsupportedProtocol) as error:
            message = f"{self._shown} can't be reached: {_say(error)}"
            raise SinkError(Sink.TRACKING, SinkReason.UNREACHABLE, message) from None
        except httpx2.HTTPError as error:
            message = f"{self._shown} gave no answer: {_say(error)}"
            raise UncertainError(Sink.TRACKING, SinkReason.UNREACHABLE, message) from None
        if not response.is_success:
            raise self._explain(response)
        return response

    def _explain(self, response: httpx2.Response) -> SinkError:
        status, answer = response.status_code, _parse_json(response) or {}
        code = answer.get("error_code")
        told = f"{code}: {answer.get('message', '')}" if code else _begin(response)
        message = f"{self._shown} answered {status} {told}"[:1000]
        if status in _LOCKED_OUT:
            return SinkError(Sink.TRACKING, SinkReason.REFUSED, message)
        if status in _PASSING:
            return SinkError(Sink.TRACKING, SinkReason.FAILED, message)
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return UncertainError(Sink.TRACKING, SinkReason.FAILED, message)
        if code is None:
            return self._something_else(response)
        missing = status == HTTPStatus.NOT_FOUND and code in {"RESOURCE_DOES_NOT_EXIST", "NOT_FOUND"}
        return (NotFoundError if missing else RefusedError)(Sink.TRACKING, SinkReason.REFUSED, message)

    def _something_else(self, response: httpx2.Response) -> SinkError:
        kind = response.headers.get("content-type", "no content type")
        message = f"{self._shown} does not answer as MLflow does: {response.status_code}, {kind}: {_begin(response)}"
        return SinkError(Sink.TRACKING, SinkReason.NOT_MLFLOW, message)


def _parse_json(response: httpx2.Response) -> dict[str, Any] | None:
    try:
        answer = orjson.loads(response.content)
    except orjson.JSONDecodeError:
        return None
    return answer if isinstance(answer, dict) else None


def _artifact_path(uri: str) -> str:
    """Return the path by which the server takes what lies at `mlflow-artifacts:/path`, any host in it left out."""
    path = uri.removeprefix("mlflow-artifacts:")
    if path.startswith("//"):
        path = path[2:].partition("/")[2]
    return f"{ARTIFACTS_API}/{quote(path.lstrip('/'))}"


def _begin(response: httpx2.Response) -> str:
    return " ".join(response.text[:200].split())


def _say(error: Exception) -> str:
    return str(error) or type(error).__name__
