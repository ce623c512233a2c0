"""MLflow's model registry by its REST API, version 2.0: versions, aliases, and the files of a version.

https://mlflow.org/docs/latest/api_reference/rest-api.html
"""

import base64
import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2

from classifier_inference.spec.uri import ModelsUri, is_inside
from classifier_inference.stores.authorities import make_context
from classifier_inference.stores.https import TIMEOUT, explained, judge_status, printable
from classifier_inference.stores.remote_file import CHUNK_BYTES, PassingError, RefusedError, RemoteFile

_API = "/api/2.0/mlflow"
_ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts"
_ANSWER_LIMIT_BYTES = 2**20
_SOURCE_LIMIT = 1024


@dataclass(frozen=True)
class ArtifactFolder:
    """Files that an MLflow server hands out itself: those under `mlflow-artifacts:/path`."""

    client: httpx2.Client
    path: str

    def file(self, path: str) -> RemoteFile:
        """Return the file under a path."""
        whole = f"{self.path}/{path}"

        @contextmanager
        def read() -> Iterator[Iterator[bytes]]:
            with explained(), self.client.stream("GET", f"{_ARTIFACTS}/{quote(whole)}") as response:
                judge_status(response.status_code)
                yield response.iter_bytes(CHUNK_BYTES)

        return RemoteFile(f"mlflow-artifacts:/{whole}", read)


class Registry:
    """One MLflow server's registry. Its methods raise PassingError and RefusedError."""

    def __init__(self, client: httpx2.Client) -> None:
        self._client = client

    def resolve_version(self, address: ModelsUri) -> str:
        """Return the version that an address names, by its alias if it has one."""
        if address.version is not None:
            return address.version
        asked = {"name": address.name, "alias": address.alias or ""}
        found = self.ask("GET", "registered-models/alias", params=asked).get("model_version")
        version = found.get("version") if isinstance(found, dict) else None
        if not isinstance(version, str) or not version.isdecimal():
            raise self._something_else()
        return version

    def find_source(self, name: str, version: str) -> str:
        """Return the address of the folder that a version's files lie in."""
        asked = {"name": name, "version": version}
        source = self.ask("GET", "model-versions/get-download-uri", params=asked).get("artifact_uri")
        if not isinstance(source, str) or not source:
            raise self._something_else()
        if len(source) > _SOURCE_LIMIT:
            raise RefusedError(f"the registry names an address of {len(source)} characters")
        return source.rstrip("/")

    def open_artifacts(self, source: str) -> ArtifactFolder:
        """Return the folder at a `mlflow-artifacts:` address, whatever host it names: this server was asked for it."""
        path = source.removeprefix("mlflow-artifacts:")
        if path.startswith("//"):
            path = path[2:].partition("/")[2]
        path = path.strip("/")
        if not is_inside(path):
            raise RefusedError(f"the registry names {source!r}, which has an empty, '.' or '..' part")
        return ArtifactFolder(self._client, path)

    def ensure_model(self, name: str) -> None:
        """Have the registry hold a model of that name."""
        try:
            self.ask("POST", "registered-models/create", json={"name": name})
        except RefusedError as error:
            if "RESOURCE_ALREADY_EXISTS" not in str(error):
                raise

    def create_version(self, name: str, source: str, run_id: str) -> str:
        """Register what a run has put at an address as the model's next version; return its number."""
        asked = {"name": name, "source": source, "run_id": run_id}
        found = self.ask("POST", "model-versions/create", json=asked).get("model_version")
        if not isinstance(found, dict) or "version" not in found:
            raise self._something_else()
        return str(found["version"])

    def put_artifact(self, source: str, content: bytes | Path) -> None:
        """Store a file at a `mlflow-artifacts:` address."""
        path = quote(self.open_artifacts(source).path)
        with explained(), ExitStack() as stack:
            body = content if isinstance(content, bytes) else stack.enter_context(content.open("rb"))
            response = self._client.put(f"{_ARTIFACTS}/{path}", content=body)
        if response.status_code != HTTPStatus.OK:
            self._judge(response.status_code, _parse_object(response.content) or {})
            raise self._something_else()

    def ask(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        """Return what the server answers, a JSON object."""
        with explained(), self._client.stream(method, f"{_API}/{path}", **request) as response:
            content = bytearray()
            for chunk in response.iter_bytes(2**16):
                content += chunk
                if len(content) > _ANSWER_LIMIT_BYTES:
                    raise self._something_else()
        answer = _parse_object(bytes(content))
        status = response.status_code
        if status == HTTPStatus.OK and answer is not None:
            return answer
        self._judge(status, answer or {})
        raise self._something_else()

    def _judge(self, status: int, answer: Mapping[str, Any]) -> None:
        """Raise what a refusal means, with the registry's own message; return if it isn't one of MLflow's."""
        if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
            raise RefusedError(
                f"MLflow answered {status}: does the Secret that tracking.secret names hold a token, or username and "
                "password, that it takes? " + str(answer.get("message", ""))
            )
        code = answer.get("error_code")
        message = f"MLflow answered {code}: {answer.get('message', 'no message')}"
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.TOO_MANY_REQUESTS:
            raise PassingError(message if code else f"MLflow answered {status}")
        if code is not None:
            # MLflow says of an alias that isn't there that the parameter is invalid.
            missing = code == "RESOURCE_DOES_NOT_EXIST" or "not found" in message
            raise RefusedError(message, missing=missing)

    def _something_else(self) -> RefusedError:
        return RefusedError(f"what answers at {printable(str(self._client.base_url))} is no MLflow server")


def make_client(uri: str, environment: Mapping[str, str], ca_file: Path | None) -> httpx2.Client:
    """Return a client of the MLflow server at `uri`, with the credentials in MLflow's own variables."""
    return httpx2.Client(
        base_url=uri,
        verify=make_context(ca_file),
        timeout=TIMEOUT,
        headers={"Accept-Encoding": "identity", "User-Agent": "classifier-fetch", **_read_credentials(environment)},
    )


def _read_credentials(environment: Mapping[str, str]) -> dict[str, str]:
    token, user, password = (environment.get(f"MLFLOW_TRACKING_{each}") for each in ("TOKEN", "USERNAME", "PASSWORD"))
    if token:
        return {"Authorization": f"Bearer {token}"}
    if user and password:
        return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}
    return {}


def _parse_object(content: bytes) -> dict[str, Any] | None:
    try:
        answer = json.loads(content)
    except ValueError:
        return None
    return answer if isinstance(answer, dict) else None
