"""The objects of one S3 store, one attempt each: whoever asks tries again."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from classifier_inference.report.start_error import StartError
from classifier_inference.report.termination import Reason
from classifier_inference.stores.authorities import make_context
from classifier_inference.stores.s3.boto_errors import explained
from classifier_inference.stores.s3.connection import S3Settings, connect
from classifier_inference.stores.store_error import StoreError


class S3Store:
    """One S3 store. Every method raises StoreError with the store's own message."""

    def __init__(self, settings: S3Settings, shown: str | None = None) -> None:
        """`shown`: how messages name the store, where they don't leave that to their reader."""
        self._settings = settings
        self._shown = shown

    def check_settings(self) -> None:
        """Raise StartError for settings that can't be used, which is otherwise told of the first request."""
        try:
            self._client  # noqa: B018 - made by that
        except StoreError as error:
            raise StartError(Reason.SPEC_INVALID, f"storage can't be used: {error}") from None

    def close(self) -> None:
        """Close the connections."""
        if "_client" in vars(self):
            self._client.close()

    @contextmanager
    def reading(self, bucket: str, key: str) -> Iterator[dict[str, Any]]:
        """Yield boto3's answer to a request for an object: Body, ContentLength, ETag and so on."""
        with self._explained():
            yield self._client.get_object(Bucket=bucket, Key=key)

    def get(self, uri: str) -> bytes:
        """Return the object at `s3://bucket/key`."""
        with self.reading(*split_uri(uri)) as answer:
            content: bytes = answer["Body"].read()
        return content

    def put(self, uri: str, content: bytes | Path) -> None:
        """Store an object at `s3://bucket/key`, in one request; one that was there is replaced."""
        bucket, key = split_uri(uri)
        with self._explained():
            if isinstance(content, bytes):
                self._client.put_object(Bucket=bucket, Key=key, Body=content)
                return
            with content.open("rb") as file:
                self._client.put_object(Bucket=bucket, Key=key, Body=file)

    def upload(self, source: Path, bucket: str, key: str) -> None:
        """Store a file of any size, in parts where it is large."""
        with self._explained():
            self._client.upload_file(str(source), bucket, key)

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
        return make_context(self._settings.ca_file)

    @cached_property
    def _client(self) -> Any:
        """The client, made when it is first needed: bad settings are then told as everything else."""
        return connect(self._settings)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            with explained():
                yield
        except StoreError as error:
            if self._shown is None:
                raise
            raise StoreError(error.trouble, f"{self._shown}: {error}") from None


def split_uri(uri: str) -> tuple[str, str]:
    """Return bucket and key of `s3://bucket/key`."""
    parts = urlsplit(uri, allow_fragments=False)
    return parts.netloc, uri.partition(parts.netloc)[2].lstrip("/")
