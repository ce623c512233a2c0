"""Files that an MLflow server hands out and takes itself: those under `mlflow-artifacts:/path`."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from classifier_inference.spec.uri import is_inside
from classifier_inference.stores.https import asking, explained
from classifier_inference.stores.mlflow_api.rest import MlflowServer
from classifier_inference.stores.remote_file import CHUNK_BYTES, RemoteFile
from classifier_inference.stores.store_error import MlflowError, Trouble

SCHEME = "mlflow-artifacts:"
API = "/api/2.0/mlflow-artifacts/artifacts"


@dataclass(frozen=True)
class ArtifactFolder:
    """Artifacts that lie together."""

    server: MlflowServer
    path: str

    def file(self, path: str) -> RemoteFile:
        """Return the file under a path."""
        address = self._join(path)

        @contextmanager
        def read() -> Iterator[Iterator[bytes]]:
            with explained(), asking(self.server.http, locate(address)) as response:
                yield response.iter_bytes(CHUNK_BYTES)

        return RemoteFile(address, read)

    def upload(self, source: Path, path: str) -> None:
        """Put a file under a path. Raises StoreError."""
        put_artifact(self.server, self._join(path), source)

    def _join(self, path: str) -> str:
        return f"{SCHEME}/{self.path}/{path}"


def open_artifacts(server: MlflowServer, source: str) -> ArtifactFolder:
    """Return the folder at an address that the registry gave, whatever host it names: this server was asked for it."""
    path = parse_path(source)
    if not is_inside(path):
        message = f"the registry names {source!r}, which has an empty, '.' or '..' part"
        raise MlflowError(Trouble.OUT_OF_REACH, message)
    return ArtifactFolder(server, path)


def put_artifact(server: MlflowServer, uri: str, content: bytes | Path) -> None:
    """Store a file at an address."""
    if isinstance(content, bytes):
        server.send("PUT", locate(uri), content=content)
        return
    with content.open("rb") as file:
        server.send("PUT", locate(uri), content=file)


def locate(uri: str) -> str:
    """Return the path by which the server takes what lies at an address."""
    return f"{API}/{quote(parse_path(uri))}"


def parse_path(uri: str) -> str:
    """Return the path of `mlflow-artifacts:/path` or `mlflow-artifacts://host/path`."""
    path = uri.removeprefix(SCHEME)
    if path.startswith("//"):
        path = path[2:].partition("/")[2]
    return path.strip("/")
