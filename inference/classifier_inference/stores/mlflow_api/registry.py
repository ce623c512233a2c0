"""MLflow's model registry: versions, aliases, and where the files of a version lie."""

from collections.abc import Mapping
from typing import Any

from classifier_inference.spec.uri import ModelsUri
from classifier_inference.stores.mlflow_api.rest import MlflowServer
from classifier_inference.stores.store_error import MlflowError, StoreError, Trouble

_SOURCE_LIMIT = 1024


class Registry:
    """One MLflow server's registry. Its methods raise StoreError."""

    def __init__(self, server: MlflowServer) -> None:
        self._server = server

    def resolve_version(self, address: ModelsUri) -> str:
        """Return the version that an address names, by its alias if it has one."""
        if address.version is not None:
            return address.version
        asked = {"name": address.name, "alias": address.alias or ""}
        return self._server.call("GET", "registered-models/alias", asked, _parse_aliased)

    def find_source(self, name: str, version: str) -> str:
        """Return the address of the folder that a version's files lie in."""
        asked = {"name": name, "version": version}
        source = self._server.call("GET", "model-versions/get-download-uri", asked, _parse_source)
        if len(source) > _SOURCE_LIMIT:
            message = f"the registry names an address of {len(source)} characters"
            raise MlflowError(Trouble.OUT_OF_REACH, message)
        return source.rstrip("/")

    def ensure_model(self, name: str) -> None:
        """Have the registry hold a model of that name."""
        try:
            self._server.call("POST", "registered-models/create", {"name": name}, dict)
        except StoreError as error:
            if "RESOURCE_ALREADY_EXISTS" not in str(error):
                raise

    def create_version(self, name: str, source: str, run_id: str) -> str:
        """Register what a run has put at an address as the model's next version; return its number."""
        asked = {"name": name, "source": source, "run_id": run_id}
        return self._server.call("POST", "model-versions/create", asked, lambda said: str(_find_version(said)))


def _parse_aliased(answer: Mapping[str, Any]) -> str:
    version = _find_version(answer)
    if not isinstance(version, str) or not version.isdecimal():
        raise ValueError("not a version")
    return version


def _parse_source(answer: Mapping[str, Any]) -> str:
    source = answer["artifact_uri"]
    if not isinstance(source, str) or not source:
        raise ValueError("not an address")
    return source


def _find_version(answer: Mapping[str, Any]) -> Any:
    return answer["model_version"]["version"]
