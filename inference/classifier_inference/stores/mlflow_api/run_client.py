"""MLflow's experiments, their runs, and the artifacts of these."""

import os
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import httpx2

from classifier_inference.stores.https import printable
from classifier_inference.stores.mlflow_api.artifacts import locate, put_artifact
from classifier_inference.stores.mlflow_api.full_wording import FullWording
from classifier_inference.stores.mlflow_api.rest import MlflowServer
from classifier_inference.stores.mlflow_api.run_data import (
    FINISHED,
    Artifact,
    Experiment,
    Run,
    pairs,
    parse_artifacts,
    parse_experiment,
    parse_run,
    parse_runs,
)
from classifier_inference.stores.store_error import MlflowError, StoreError, Trouble

TIMEOUT = httpx2.Timeout(30, connect=5)
ANSWER_SECONDS = 120.0
"""How long an answer may take to its last byte, however steadily bytes come."""
MOST_ANSWER_BYTES = 256 * 2**20
"""An artifact's too."""

_RUNS_FIRST = {"mlflow.experimentKind": "custom_model_development"}
"""Has MLflow's pages show the experiment's runs; else they look for traces of language models."""

ToldT = TypeVar("ToldT")


def connect(
    uri: str,
    timeout: httpx2.Timeout | float = TIMEOUT,
    verify: ssl.SSLContext | bool = True,
    answer_seconds: float = ANSWER_SECONDS,
) -> "MlflowClient":
    """Return a client whose errors name the server; to be closed."""
    server = MlflowServer(
        uri.rstrip("/"),
        FullWording(printable(uri).rstrip("/")),
        environment=os.environ,
        headers={"User-Agent": "classifier"},
        timeout=timeout,
        verify=verify,
        most_bytes=MOST_ANSWER_BYTES,
        answer_seconds=answer_seconds,
    )
    return MlflowClient(server)


class MlflowClient:
    """One MLflow server's experiments and runs; for one thread at a time.

    Every method raises StoreError, which is `about_one` where the server works and refuses the request.
    """

    def __init__(self, server: MlflowServer) -> None:
        self._server = server

    def close(self) -> None:
        """Close the connections."""
        self._server.close()

    def find_experiment(self, name: str) -> str | None:
        """Return an experiment's id, or None if there is none. Raises StoreError for one that was deleted."""
        found = self.look_up_experiment(name)
        if found is not None and found.stage == "deleted":
            message = f"the experiment {name!r} was deleted in MLflow: restore it, or name another"
            raise MlflowError(Trouble.OUT_OF_REACH, message)
        return found.id if found is not None else None

    def look_up_experiment(self, name: str) -> Experiment | None:
        """Return an experiment, deleted or not, or None if there is none."""
        asked = {"experiment_name": name}
        return self._ask_for("GET", "experiments/get-by-name", asked, parse_experiment)

    def ensure_experiment(self, name: str) -> str:
        """Return the id of the experiment of a name, made if there was none."""
        found = self.find_experiment(name)
        if found is not None:
            return found
        try:
            return self.create_experiment(name, _RUNS_FIRST)
        except StoreError as error:
            # Somebody else may have made it meanwhile.
            found = self.find_experiment(name) if error.about_one else None
            if found is None:
                raise
            return found

    def create_experiment(self, name: str, tags: Mapping[str, str]) -> str:
        """Return the id of a new experiment."""
        content = {"name": name, **_render_tags(tags)}
        return self._server.call("POST", "experiments/create", content, lambda said: str(said["experiment_id"]))

    def create_run(self, experiment_id: str, name: str, start_ms: int, tags: Mapping[str, str]) -> Run:
        """Return a new run. UncertainError: there may be one that nobody was told of."""
        content = {"experiment_id": experiment_id, "run_name": name, "start_time": start_ms, **_render_tags(tags)}
        return self._server.call("POST", "runs/create", content, lambda said: parse_run(said["run"]))

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
            runs, token = self._server.call("POST", "runs/search", content, parse_runs)
            yield from runs
            most = None if most is None else most - len(runs)

    def get_run(self, run_id: str) -> Run | None:
        """Return a run, or None for an id that MLflow doesn't know."""
        return self._ask_for("GET", "runs/get", {"run_id": run_id}, lambda said: parse_run(said["run"]))

    def log_batch(
        self, run_id: str, time_ms: int, metrics: Mapping[str, float], params: Mapping[str, str] | None = None
    ) -> None:
        """Log metrics (at most 1000) and params; the same again changes nothing."""
        values = [{"key": key, "value": value, "timestamp": time_ms, "step": 0} for key, value in metrics.items()]
        self._server.call(
            "POST", "runs/log-batch", {"run_id": run_id, "metrics": values, "params": pairs(params or {})}, dict
        )

    def end_run(self, run_id: str, end_ms: int, status: str = FINISHED) -> None:
        """Say how a run has ended: well, if nothing else is said."""
        self._server.call("POST", "runs/update", {"run_id": run_id, "status": status, "end_time": end_ms}, dict)

    def delete_run(self, run_id: str) -> None:
        """Mark a run as deleted; `mlflow gc` on the server removes such runs. None of that id is fine too."""
        self._ask_for("POST", "runs/delete", {"run_id": run_id}, dict)

    def list_artifacts(self, run_id: str, folder: str = "") -> list[Artifact]:
        """Return what lies in a folder of a run's artifacts."""
        asked = {"run_id": run_id, **({"path": folder} if folder else {})}
        return self._server.call("GET", "artifacts/list", asked, parse_artifacts)

    def put_artifact(self, uri: str, content: bytes | Path) -> None:
        """Store a file at a `mlflow-artifacts:` address, through the server."""
        put_artifact(self._server, uri, content)

    def get_artifact(self, uri: str) -> bytes:
        """Return the file at a `mlflow-artifacts:` address. The error is `missing` where there is none."""
        return self._server.send("GET", locate(uri)).content

    def delete_artifacts(self, uri: str) -> None:
        """Delete a file or folder at a `mlflow-artifacts:` address; it is fine if there is none."""
        try:
            self._server.send("DELETE", locate(uri))
        except StoreError as error:
            if not error.missing:
                raise

    def _ask_for(
        self, method: str, path: str, content: Mapping[str, Any], parse: Callable[[Any], ToldT]
    ) -> ToldT | None:
        """Return what is told by the answer, or None where MLflow knows no such thing."""
        try:
            return self._server.call(method, path, content, parse)
        except StoreError as error:
            if not error.missing:
                raise
            return None


def _render_tags(tags: Mapping[str, str]) -> dict[str, Any]:
    return {"tags": pairs(tags)} if tags else {}
