"""Where addresses lead: one client a kind of store, made when it is first needed."""

import os
from collections.abc import Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

import httpx2

from classifier_inference.report.start_error import StartError
from classifier_inference.report.termination import Reason
from classifier_inference.spec.classifier import ClassifierSpec
from classifier_inference.spec.uri import HttpsUri, ModelsUri, S3Uri, parse_uri
from classifier_inference.stores import https
from classifier_inference.stores.authorities import make_context
from classifier_inference.stores.mlflow_api.artifacts import ArtifactFolder, open_artifacts
from classifier_inference.stores.mlflow_api.registry import Registry
from classifier_inference.stores.mlflow_api.rest import MlflowServer
from classifier_inference.stores.mlflow_api.run_client import MlflowClient
from classifier_inference.stores.mlflow_api.terse_wording import TerseWording
from classifier_inference.stores.remote_file import RemoteFile
from classifier_inference.stores.s3.connection import S3Settings
from classifier_inference.stores.s3.folder import S3Folder, open_object
from classifier_inference.stores.s3.objects import S3Store
from classifier_inference.stores.store_error import StoreError, Trouble

S3_READ_SECONDS = 15
MLFLOW_ANSWER_BYTES = 2**20

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
        """Return the file at an address. Raises StoreError."""
        match address:
            case HttpsUri(url):
                return https.open_https(self._https, url)
            case S3Uri():
                return open_object(self.s3, address)
            case ModelsUri():
                return self.open_version(address).file(address.path)

    def open_version(self, address: ModelsUri) -> S3Folder | ArtifactFolder:
        """Return the folder of a registered model's version. Raises StoreError."""
        version = self.registry.resolve_version(address)
        return self.open_source(self.registry.find_source(address.name, version))

    def open_source(self, source: str) -> S3Folder | ArtifactFolder:
        """Return the folder at an address that the registry gave. Raises StoreError for one that can't be reached."""
        scheme = source.partition(":")[0]
        if scheme == "mlflow-artifacts":
            return open_artifacts(self._mlflow, source)
        if scheme == "s3":
            try:
                address = parse_uri(source)
            except ValueError as error:
                raise StoreError(
                    Trouble.OUT_OF_REACH, f"the registry names an address that can't be used: {error}"
                ) from None
            if isinstance(address, S3Uri):
                return S3Folder(self.s3, address.bucket, address.key)
        raise StoreError(
            Trouble.OUT_OF_REACH,
            f"the version's files lie at {source!r}: only s3:// and mlflow-artifacts:/ can be reached from here",
        )

    @cached_property
    def s3(self) -> S3Store:
        """The S3 store. Raises StartError for settings that can't be used."""
        store = S3Store(S3Settings(self._places.endpoint, self._places.region, self._ca_file, S3_READ_SECONDS))
        store.check_settings()
        return self._stack.enter_context(closing(store))

    @cached_property
    def registry(self) -> Registry:
        """MLflow's registry."""
        return Registry(self._mlflow)

    @cached_property
    def runs(self) -> MlflowClient:
        """MLflow's runs."""
        return MlflowClient(self._mlflow)

    @cached_property
    def _mlflow(self) -> MlflowServer:
        if self._places.tracking_uri is None:
            raise StartError(Reason.SPEC_INVALID, _NO_TRACKING)
        if not self._places.tracking_uri.startswith(("http://", "https://")):
            raise StartError(Reason.SPEC_INVALID, f"{self._places.tracking_uri} is no http(s):// address of MLflow")
        server = MlflowServer(
            self._places.tracking_uri,
            TerseWording(f"{https.printable(self._places.tracking_uri).rstrip('/')}/"),
            environment=self._environment,
            headers={"Accept-Encoding": "identity", "User-Agent": "classifier-fetch"},
            timeout=https.TIMEOUT,
            verify=make_context(self._ca_file),
            most_bytes=MLFLOW_ANSWER_BYTES,
        )
        return self._stack.enter_context(closing(server))

    @cached_property
    def _https(self) -> httpx2.Client:
        return self._stack.enter_context(https.make_client(self._ca_file))
