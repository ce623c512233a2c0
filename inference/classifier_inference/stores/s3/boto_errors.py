"""What boto3's exceptions mean."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from classifier_inference.stores.store_error import StoreError, Trouble

NO_CREDENTIALS = (
    "there are no credentials for the store: the Secret that storage.secret names needs the keys accessKeyId and "
    "secretAccessKey (without a cluster: the variables AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY)"
)

_TROUBLES = {
    "NoSuchBucket": Trouble.NO_BUCKET,
    "NoSuchKey": Trouble.NO_OBJECT,
    "404": Trouble.NOTHING_THERE,
    "EntityTooLarge": Trouble.BAD_REQUEST,
    "KeyTooLongError": Trouble.BAD_REQUEST,
    "XMinioInvalidObjectName": Trouble.BAD_REQUEST,
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


@contextmanager
def explained() -> Iterator[None]:
    """Raise StoreError for boto3's exceptions, with the store's own message."""
    try:
        yield
    except Exception as error:
        found = _explain(error)
        if found is None:
            raise
        raise found from None


def _explain(error: Exception) -> StoreError | None:
    """Return what one of boto3's exceptions means; None for any other."""
    from boto3.exceptions import S3UploadFailedError
    from botocore import exceptions as boto_errors

    match error:
        case boto_errors.ClientError():
            return _judge(error.response)
        case boto_errors.NoCredentialsError() | boto_errors.PartialCredentialsError():
            return StoreError(Trouble.NO_CREDENTIALS, NO_CREDENTIALS)
        case boto_errors.ParamValidationError():
            return StoreError(Trouble.REFUSED, last_words(error))
        case boto_errors.SSLError():
            return StoreError(Trouble.NOT_TRUSTED, f"its certificate is not trusted: {last_words(error)}")
        case boto_errors.EndpointConnectionError() | boto_errors.ConnectTimeoutError():
            return StoreError(Trouble.AWAY, "the store can't be connected to")
        case boto_errors.BotoCoreError() | boto_errors.HTTPClientError():
            return StoreError(Trouble.AWAY, last_words(error))
        case S3UploadFailedError():
            cause = error.__context__
            if isinstance(cause, boto_errors.ClientError):
                return _judge(cause.response)
            return StoreError(Trouble.AWAY, last_words(error))
    return None


def _judge(response: dict[str, Any]) -> StoreError:
    error = response.get("Error", {})
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    code = str(error.get("Code", status))
    otherwise = Trouble.FAILING if status >= 500 else Trouble.REFUSED
    return StoreError(
        _TROUBLES.get(code, otherwise), f"the store answered {code}: {error.get('Message', 'no message')}"
    )


def last_words(error: BaseException) -> str:
    """Return the end of what an exception says, on one line."""
    return " ".join(str(error).split())[-300:] or type(error).__name__
