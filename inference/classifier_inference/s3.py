"""Files in an S3 store. Credentials come from the environment, as boto3 finds them; messages are the store's own."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import boto3.exceptions
from botocore import UNSIGNED
from botocore import exceptions as boto_errors
from botocore.config import Config

from classifier_inference.remote import CHUNK_BYTES, PassingError, RefusedError, RemoteFile
from classifier_inference.termination import Reason
from classifier_inference.termination_log import StartError
from classifier_inference.uri import S3Uri

DEFAULT_REGION = "us-east-1"
_MISSING = {"NoSuchKey", "NoSuchBucket", "404"}
_PASSING = {"SlowDown", "RequestTimeout", "ServiceUnavailable", "InternalError", "503", "ThrottlingException"}
_NO_CREDENTIALS = (
    "there are no credentials for the store: the Secret that storage.secret names needs the keys accessKeyId and "
    "secretAccessKey (without a cluster: the variables AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY)"
)
_ERRORS = (boto_errors.BotoCoreError, boto_errors.ClientError, boto_errors.HTTPClientError)


@dataclass(frozen=True)
class Credentials:
    """What opens a store."""

    key_id: str
    key: str = field(repr=False)


ANONYMOUS = Credentials("", "")
"""Requests that are not signed."""


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
    """Return a boto3 client; without an endpoint it is the one in the environment, or else AWS's.

    Without `credentials` they are those in the environment.
    `ca_file` holds all certificate authorities to trust; None means the usual ones.
    """
    config = Config(
        signature_version=UNSIGNED if credentials is ANONYMOUS else None,
        connect_timeout=5,
        read_timeout=15,
        # Retrying is ours: for as long as for every other address.
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
    except (ValueError, boto_errors.BotoCoreError) as error:
        raise StartError(Reason.SPEC_INVALID, f"storage can't be used: {error}") from None


def _make_session(region: str | None, credentials: Credentials | None) -> Any:
    if credentials is None:
        return boto3.session.Session(region_name=region)
    return boto3.session.Session(credentials.key_id or None, credentials.key or None, region_name=region)


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
    """Say what boto3's exceptions mean, with the store's own message."""
    try:
        yield
    except boto_errors.ClientError as error:
        raise _judge(error.response) from None
    except (boto_errors.NoCredentialsError, boto_errors.PartialCredentialsError):
        raise RefusedError(_NO_CREDENTIALS) from None
    except boto_errors.ParamValidationError as error:
        raise RefusedError(" ".join(str(error).split())) from None
    except boto_errors.SSLError as error:
        raise RefusedError(f"its certificate is not trusted: {_last_words(error)}") from None
    except boto_errors.EndpointConnectionError:
        raise PassingError("the store can't be connected to") from None
    except _ERRORS as error:
        raise PassingError(_last_words(error)) from None
    except boto3.exceptions.S3UploadFailedError as error:
        cause = error.__context__
        if isinstance(cause, boto_errors.ClientError):
            raise _judge(cause.response) from None
        raise PassingError(_last_words(error)) from None


def _judge(response: dict[str, Any]) -> PassingError | RefusedError:
    error = response.get("Error", {})
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    code = str(error.get("Code", status))
    message = f"the store answered {code}: {error.get('Message', 'no message')}"
    if code in _PASSING or status >= 500:
        return PassingError(message)
    return RefusedError(message, missing=code in _MISSING)


def _last_words(error: BaseException) -> str:
    return " ".join(str(error).split())[-300:] or type(error).__name__
