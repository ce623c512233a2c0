"""Where addresses lead: one client a kind of store, made when it is first needed."""

import os
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import httpx2

from classifier_inference.report.start_error import StartError
from classifier_inference.report.termination import Reason
from classifier_inference.spec.classifier import ClassifierSpec
from classifier_inference.spec.uri import HttpsUri, ModelsUri, S3Uri, parse_uri
from classifier_inference.stores import https
from classifier_inference.stores.authorities import bundle_authorities
from classifier_inference.stores.mlflow_api import registry
from classifier_inference.stores.mlflow_api.registry import Registry
from classifier_inference.stores.remote_file import Folder, RefusedError, RemoteFile
from classifier_inference.stores.s3 import folder

_NO_TRACKING = "models:/ is looked up in MLflow: set tracking (without a cluster, MLFLOW_TRACKING_URI will do)"


@dataclass(frozen=True)
class Places:
    """Where the stores of s3:// and models:/ are. Credentials are not in it: they come by the environment alone."""

    tracking_uri: str | None = None
    endpoint: str | None = None
    region: str | None = None


def find_places(spec: ClassifierSpec, environment: Mapping[str, str]) -> Places:
    """Return the places that a classifier names; MLflow's, if it names none, is the environment's."""
    tracking_uri = spec.tracking.uri or environment.get("MLFLOW_TRACKING_URI")
    return Places(tracking_uri, spec.storage.endpoint, spec.storage.region)


class Stores:
    """Clients for the addresses of a classifier; to be closed."""

    def __init__(self, places: Places, ca_file: Path | None, environment: Mapping[str, str] = os.environ) -> None:
        self._places = places
        self._ca_file = ca_file
        self._environment = environment
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def open_file(self, address: HttpsUri | S3Uri | ModelsUri) -> RemoteFile:
        """Return the file at an address. Raises PassingError and RefusedError."""
        match address:
            case HttpsUri(url):
                return https.open_https(self._https, url)
            case S3Uri():
                return folder.open_object(self.s3, address)
            case ModelsUri():
                return self.open_version(address).file(address.path)

    def open_version(self, address: ModelsUri) -> Folder:
        """Return the folder of a registered model's version. Raises PassingError and RefusedError."""
        version = self.registry.resolve_version(address)
        return self.open_source(self.registry.find_source(address.name, version))

    def open_source(self, source: str) -> Folder:
        """Return the folder at an address that the registry gave. Raises RefusedError for one that can't be reached."""
        scheme = source.partition(":")[0]
        if scheme == "mlflow-artifacts":
            return self.registry.open_artifacts(source)
        if scheme == "s3":
            try:
                address = parse_uri(source)
            except ValueError as error:
                raise RefusedError(f"the registry names an address that can't be used: {error}") from None
            if isinstance(address, S3Uri):
                return folder.S3Folder(self.s3, address.bucket, address.key)
        raise RefusedError(
            f"the version's files lie at {source!r}: only s3:// and mlflow-artifacts:/ can be reached from here"
        )

    @cached_property
    def s3(self) -> Any:
        """The S3 client."""
        client = folder.make_client(self._places.endpoint, self._places.region, bundle_authorities(self._ca_file))
        self._stack.callback(client.close)
        return client

    @cached_property
    def registry(self) -> Registry:
        """MLflow's registry."""
        if self._places.tracking_uri is None:
            raise StartError(Reason.SPEC_INVALID, _NO_TRACKING)
        if not self._places.tracking_uri.startswith(("http://", "https://")):
            raise StartError(Reason.SPEC_INVALID, f"{self._places.tracking_uri} is no http(s):// address of MLflow")
        client = registry.make_client(self._places.tracking_uri, self._environment, self._ca_file)
        return Registry(self._stack.enter_context(client))

    @cached_property
    def _https(self) -> httpx2.Client:
        return self._stack.enter_context(https.make_client(self._ca_file))
