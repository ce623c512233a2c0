"""A client of one S3 store, by boto3, and what its exceptions mean.

boto3 is imported when a store is first asked: it takes as long as a sixth of what the server starts with, and most
servers ask none.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

DEFAULT_REGION = "us-east-1"

_NO_CREDENTIALS = (
    "there are no credentials for the store: the Secret that storage.secret names needs the keys accessKeyId and "
    "secretAccessKey (without a cluster: the variables AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY)"
)


class Trouble(Enum):
    """What is wrong with a request to a store."""

    AWAY = auto()
    """Nobody answered."""
    FAILING = auto()
    """The store can't now, and may later."""
    FULL = auto()
    NO_CREDENTIALS = auto()
    LOCKED_OUT = auto()
    """Its credentials open nothing, or not this."""
    NOT_TRUSTED = auto()
    """The store's certificate."""
    NO_BUCKET = auto()
    NO_OBJECT = auto()
    NOTHING_THERE = auto()
    """A 404 that names neither: what answers may be no S3 store."""
    BAD_OBJECT = auto()
    """One that no store, or not this one, would take: its key, or its size."""
    REFUSED = auto()


_TROUBLES = {
    "NoSuchBucket": Trouble.NO_BUCKET,
    "NoSuchKey": Trouble.NO_OBJECT,
    "404": Trouble.NOTHING_THERE,
    "EntityTooLarge": Trouble.BAD_OBJECT,
    "KeyTooLongError": Trouble.BAD_OBJECT,
    "XMinioInvalidObjectName": Trouble.BAD_OBJECT,
    "XMinioStorageFull": Trouble.FULL,
    "AccessDenied": Trouble.LOCKED_OUT,
    "ExpiredToken": Trouble.LOCKED_OUT,
    "InvalidAccessKeyId": Trouble.LOCKED_OUT,
    "InvalidToken": Trouble.LOCKED_OUT,
    "RequestTimeTooSkewed": Trouble.LOCKED_OUT,
    "SignatureDoesNotMatch": Trouble.LOCKED_OUT,
    "RequestTimeout": Trouble.FAILING,
    "SlowDown": Trouble.FAILING,
    "ThrottlingException": Trouble.FAILING,
}


class S3Error(Exception):
    """A request to a store failed."""

    def __init__(self, trouble: Trouble, message: str) -> None:
        super().__init__(message)
        self.trouble = trouble


@dataclass(frozen=True)
class Credentials:
    """What opens a store."""

    key_id: str
    key: str = field(repr=False)


ANONYMOUS = Credentials("", "")
"""Requests that are not signed."""


def make_client(
    endpoint: str | None,
    region: str | None,
    ca_file: str | None,
    read_seconds: float,
    credentials: Credentials | None = None,
) -> Any:
    """Return a client; endpoint and region are, where not given, those in the environment, or else AWS's us-east-1.

    Without `credentials` they are those in the environment. `ca_file` holds all certificate authorities to trust; None
    means the usual ones. Raises S3Error for settings that can't be used.
    """
    from botocore import UNSIGNED
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, PartialCredentialsError

    config = Config(
        signature_version=UNSIGNED if credentials is ANONYMOUS else None,
        connect_timeout=5,
        read_timeout=read_seconds,
        # Retrying is the caller's: for as long as for every other address.
        retries={"total_max_attempts": 1},
        # Any host that isn't Amazon's would need a DNS name a bucket.
        s3={"addressing_style": "path" if endpoint else "auto"},
        # Stores other than Amazon's take no checksums in trailers.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    try:
        session = _make_session(region, credentials)
        return session.client(
            "s3",
            endpoint_url=endpoint,
            region_name=session.region_name or DEFAULT_REGION,
            config=config,
            verify=ca_file,
        )
    except PartialCredentialsError:
        raise S3Error(Trouble.NO_CREDENTIALS, _NO_CREDENTIALS) from None
    except (ValueError, BotoCoreError) as error:
        raise S3Error(Trouble.REFUSED, _last_words(error)) from None


def _make_session(region: str | None, credentials: Credentials | None) -> Any:
    import boto3.session

    # boto3 itself reads AWS_DEFAULT_REGION alone, of all SDKs.
    region = region or os.environ.get("AWS_REGION")
    if credentials is None:
        return boto3.session.Session(region_name=region)
    return boto3.session.Session(credentials.key_id or None, credentials.key or None, region_name=region)


@contextmanager
def explained() -> Iterator[None]:
    """Raise S3Error for boto3's exceptions, with the store's own message."""
    try:
        yield
    except Exception as error:
        found = _explain(error)
        if found is None:
            raise
        raise found from None


def _explain(error: Exception) -> S3Error | None:
    """Return what one of boto3's exceptions means; None for any other."""
    from boto3.exceptions import S3UploadFailedError
    from botocore import exceptions as boto_errors

    match error:
        case boto_errors.ClientError():
            return _judge(error.response)
        case boto_errors.NoCredentialsError() | boto_errors.PartialCredentialsError():
            return S3Error(Trouble.NO_CREDENTIALS, _NO_CREDENTIALS)
        case boto_errors.ParamValidationError():
            return S3Error(Trouble.REFUSED, _last_words(error))
        case boto_errors.SSLError():
            return S3Error(Trouble.NOT_TRUSTED, f"its certificate is not trusted: {_last_words(error)}")
        case boto_errors.EndpointConnectionError() | boto_errors.ConnectTimeoutError():
            return S3Error(Trouble.AWAY, "the store can't be connected to")
        case boto_errors.BotoCoreError() | boto_errors.HTTPClientError():
            return S3Error(Trouble.AWAY, _last_words(error))
        case S3UploadFailedError():
            cause = error.__context__
            if isinstance(cause, boto_errors.ClientError):
                return _judge(cause.response)
            return S3Error(Trouble.AWAY, _last_words(error))
    return None


def _judge(response: dict[str, Any]) -> S3Error:
    error = response.get("Error", {})
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    code = str(error.get("Code", status))
    otherwise = Trouble.FAILING if status >= 500 else Trouble.REFUSED
    return S3Error(_TROUBLES.get(code, otherwise), f"the store answered {code}: {error.get('Message', 'no message')}")


def _last_words(error: BaseException) -> str:
    return " ".join(str(error).split())[-300:] or type(error).__name__
