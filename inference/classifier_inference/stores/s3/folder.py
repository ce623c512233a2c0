"""Files in an S3 store."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from classifier_inference.spec.uri import S3Uri
from classifier_inference.stores.remote_file import CHUNK_BYTES, RemoteFile
from classifier_inference.stores.s3.objects import S3Store
from classifier_inference.stores.store_error import StoreError, Trouble


@dataclass(frozen=True)
class S3Folder:
    """Objects whose keys begin alike."""

    store: S3Store
    bucket: str
    prefix: str
    """With no slash at its end; empty for the whole bucket."""

    def file(self, path: str) -> RemoteFile:
        """Return the object under a path."""
        return open_object(self.store, S3Uri(self.bucket, self._key(path)))

    def upload(self, source: Path, path: str) -> None:
        """Put a file under a path. Raises StoreError."""
        self.store.upload(source, self.bucket, self._key(path))

    def _key(self, path: str) -> str:
        return f"{self.prefix}/{path}" if self.prefix else path


def open_object(store: S3Store, address: S3Uri) -> RemoteFile:
    """Return the object at an address."""

    @contextmanager
    def read() -> Iterator[Iterator[bytes]]:
        with store.reading(address.bucket, address.key) as answer, closing(answer["Body"]) as body:
            if "ETag" not in answer:
                raise StoreError(Trouble.REFUSED, "what answered there is no S3 store: it sent no ETag")
            yield body.iter_chunks(CHUNK_BYTES)

    return RemoteFile(str(address), read)
