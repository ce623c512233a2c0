"""Puts objects into S3, and deletes them, by boto3, one attempt each: whoever ships tries again."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from classifier_inference.report.sink_state import SinkReason
from classifier_inference.stores.authorities import bundle_authorities, make_context
from classifier_inference.stores.s3 import connection
from classifier_inference.stores.s3.connection import S3Error, Trouble
from classifier_inference.stores.store_error import RefusedError, Sink, SinkError

READ_SECONDS = 60

_ABOUT_ONE_OBJECT = {Trouble.NO_OBJECT, Trouble.BAD_OBJECT}
_REASONS = {
    Trouble.AWAY: SinkReason.UNREACHABLE,
    Trouble.NOT_TRUSTED: SinkReason.UNREACHABLE,
    Trouble.NO_CREDENTIALS: SinkReason.CREDENTIALS_MISSING,
    Trouble.LOCKED_OUT: SinkReason.REFUSED,
    Trouble.NO_BUCKET: SinkReason.BUCKET_NOT_FOUND,
    Trouble.FULL: SinkReason.NEARLY_FULL,
}


class S3Store:
    """One S3 store, its credentials from the environment; for one thread at a time.

    Every method raises SinkError with the store's own message, or RefusedError where it refuses this object alone.
    """

    def __init__(self, endpoint: str | None = None, region: str | None = None, ca_file: Path | None = None) -> None:
        """`ca_file`: certificate authorities to trust besides the usual ones."""
        self._endpoint = endpoint
        self._region = region
        self._ca_file = ca_file

    def put(self, uri: str, content: bytes | Path) -> None:
        """Store an object at `s3://bucket/key`; one that was there is replaced."""
        bucket, key = split_uri(uri)
        with self._explained():
            if isinstance(content, bytes):
                self._client.put_object(Bucket=bucket, Key=key, Body=content)
                return
            with content.open("rb") as file:
                self._client.put_object(Bucket=bucket, Key=key, Body=file)

    def get(self, uri: str) -> bytes:
        """Return the object at `s3://bucket/key`."""
        bucket, key = split_uri(uri)
        with self._explained():
            content: bytes = self._client.get_object(Bucket=bucket, Key=key)["Body"].read()
        return content

    def delete_folder(self, uri: str) -> None:
        """Delete all that lies under `s3://bucket/folder`; it is fine if nothing does."""
        bucket, key = split_uri(uri)
        with self._explained():
            for page in self._client.get_paginator("list_objects_v2").paginate(
                Bucket=bucket, Prefix=f"{key.rstrip('/')}/"
            ):
                keys = [{"Key": found["Key"]} for found in page.get("Contents", [])]
                if keys:
                    self._client.delete_objects(Bucket=bucket, Delete={"Objects": keys, "Quiet": True})

    def probe(self, bucket: str) -> None:
        """Ask for as little as shows that the store is there, the bucket exists and the key is good."""
        with self._explained():
            self._client.list_objects_v2(Bucket=bucket, MaxKeys=1)

    @cached_property
    def trust(self) -> ssl.SSLContext:
        """What else goes to this store trusts."""
        return make_context(self._ca_file)

    @cached_property
    def _client(self) -> Any:
        """The client, made when it is first needed: bad settings are then told as everything else."""
        return connection.make_client(self._endpoint, self._region, bundle_authorities(self._ca_file), READ_SECONDS)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            with connection.explained():
                yield
        except S3Error as error:
            message = f"{self._endpoint or 'S3'}: {error}"
            if error.trouble in _ABOUT_ONE_OBJECT:
                raise RefusedError(Sink.STORAGE, SinkReason.REFUSED, message) from None
            raise SinkError(Sink.STORAGE, _REASONS.get(error.trouble, SinkReason.FAILED), message) from None


def split_uri(uri: str) -> tuple[str, str]:
    """Return bucket and key of `s3://bucket/key`."""
    parts = urlsplit(uri, allow_fragments=False)
    return parts.netloc, uri.partition(parts.netloc)[2].lstrip("/")
