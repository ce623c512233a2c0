"""Puts objects into S3, and deletes them, by boto3. One attempt each: whoever ships tries again."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, PartialCredentialsError

from classifier_inference.log_state import SinkReason
from classifier_inference.prediction_log.sinks.errors import RefusedError, Sink, SinkError

DEFAULT_REGION = "us-east-1"

_NO_CREDENTIALS = "there are no credentials: the store's Secret needs the keys accessKeyId and secretAccessKey"
_ABOUT_ONE_OBJECT = {"EntityTooLarge", "KeyTooLongError", "NoSuchKey", "XMinioInvalidObjectName"}
_REASONS = {
    "NoSuchBucket": SinkReason.BUCKET_NOT_FOUND,
    "AccessDenied": SinkReason.REFUSED,
    "InvalidAccessKeyId": SinkReason.REFUSED,
    "SignatureDoesNotMatch": SinkReason.REFUSED,
    "InvalidToken": SinkReason.REFUSED,
    "ExpiredToken": SinkReason.REFUSED,
    "XMinioStorageFull": SinkReason.NEARLY_FULL,
}


class S3Store:
    """One S3 store, its credentials from the environment; for one thread at a time.

    Every method raises SinkError with the store's own message, or RefusedError where it refuses this object alone.
    """

    def __init__(self, endpoint: str | None = None, region: str | None = None, ca_file: str | None = None) -> None:
        """`ca_file`: all certificate authorities to trust; None for the usual ones."""
        self._endpoint = endpoint
        config = Config(
            connect_timeout=5,
            read_timeout=60,
            retries={"total_max_attempts": 1, "mode": "standard"},
            s3={"addressing_style": "path" if endpoint else "auto"},
            # Stores that aren't Amazon's may not know the trailing checksums that are boto3's default.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )
        self._connect: Callable[[], Any] = lambda: boto3.session.Session().client(
            "s3", endpoint_url=endpoint, region_name=region or DEFAULT_REGION, config=config, verify=ca_file
        )
        self._made: Any = None

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

    @property
    def _client(self) -> Any:
        """The client, made when it is first needed: bad settings are then told as everything else."""
        self._made = self._made or self._connect()
        return self._made

    @contextmanager
    def _explained(self) -> Iterator[None]:
        where = self._endpoint or "S3"
        try:
            yield
        except ClientError as error:
            raise _judge(where, error.response) from None
        except (NoCredentialsError, PartialCredentialsError):
            raise SinkError(Sink.STORAGE, SinkReason.CREDENTIALS_MISSING, _NO_CREDENTIALS) from None
        except (BotoCoreError, ValueError) as error:
            message = f"{where}: {' '.join(str(error).split())}"
            raise SinkError(Sink.STORAGE, SinkReason.UNREACHABLE, message) from None


def _judge(where: str, response: dict[str, Any]) -> SinkError:
    told = response.get("Error", {})
    code, status = str(told.get("Code")), response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    message = f"{where} answered {status} {code}: {told.get('Message')}"
    if code in _ABOUT_ONE_OBJECT:
        return RefusedError(Sink.STORAGE, SinkReason.REFUSED, message)
    return SinkError(Sink.STORAGE, _REASONS.get(code, SinkReason.FAILED), message)


def split_uri(uri: str) -> tuple[str, str]:
    """Return bucket and key of `s3://bucket/key`."""
    parts = urlsplit(uri, allow_fragments=False)
    return parts.netloc, uri.partition(parts.netloc)[2].lstrip("/")
