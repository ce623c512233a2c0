"""Files in an S3 store."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from classifier_inference.report.start_error import StartError
from classifier_inference.report.termination import Reason
from classifier_inference.spec.uri import S3Uri
from classifier_inference.stores.remote_file import CHUNK_BYTES, PassingError, RefusedError, RemoteFile
from classifier_inference.stores.s3 import connection
from classifier_inference.stores.s3.connection import Credentials, S3Error, Trouble

READ_SECONDS = 15

_PASSING = {Trouble.AWAY, Trouble.FAILING, Trouble.FULL}
_MISSING = {Trouble.NO_BUCKET, Trouble.NO_OBJECT, Trouble.NOTHING_THERE}


@dataclass(frozen=True)
class S3Folder:
    """Objects whose keys begin alike."""

    client: Any
    bucket: str
    prefix: str
    """With no slash at its end; empty for the whole bucket."""

    def file(self, path: str) -> RemoteFile:
        """Return the object under a path."""
        return open_object(self.client, S3Uri(self.bucket, self._key(path)))

    def upload(self, source: Path, path: str) -> None:
        """Put a file under a path. Raises PassingError and RefusedError."""
        with explained():
            self.client.upload_file(str(source), self.bucket, self._key(path))

    def _key(self, path: str) -> str:
        return f"{self.prefix}/{path}" if self.prefix else path


def make_client(
    endpoint: str | None, region: str | None, ca_file: str | None, credentials: Credentials | None = None
) -> Any:
    """Return a boto3 client, as connection does. Raises StartError for settings that can't be used."""
    try:
        return connection.make_client(endpoint, region, ca_file, READ_SECONDS, credentials)
    except S3Error as error:
        raise StartError(Reason.SPEC_INVALID, f"storage can't be used: {error}") from None


def open_object(client: Any, address: S3Uri) -> RemoteFile:
    """Return the object at an address."""

    @contextmanager
    def read() -> Iterator[Iterator[bytes]]:
        with explained():
            answer = client.get_object(Bucket=address.bucket, Key=address.key)
            with closing(answer["Body"]) as body:
                if "ETag" not in answer:
                    raise RefusedError("what answered there is no S3 store: it sent no ETag")
                yield body.iter_chunks(CHUNK_BYTES)

    return RemoteFile(str(address), read)


@contextmanager
def explained() -> Iterator[None]:
    """Raise PassingError and RefusedError for what goes wrong with a store, with its own message."""
    try:
        with connection.explained():
            yield
    except S3Error as error:
        if error.trouble in _PASSING:
            raise PassingError(str(error)) from None
        raise RefusedError(str(error), missing=error.trouble in _MISSING) from None
