"""The way to one S3 store, by boto3.

boto3 is imported when a store is first asked: it takes as long as a sixth of what the server starts with, and most
servers ask none.
"""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from classifier_inference.stores.authorities import bundle_authorities
from classifier_inference.stores.s3.boto_errors import NO_CREDENTIALS, last_words
from classifier_inference.stores.store_error import StoreError, Trouble

DEFAULT_REGION = "us-east-1"


@dataclass(frozen=True)
class Credentials:
    """What opens a store."""

    key_id: str
    key: str = field(repr=False)


ANONYMOUS = Credentials("", "")
"""Requests that are not signed."""


@dataclass(frozen=True)
class S3Settings:
    """Where a store is, and how it is spoken to."""

    endpoint: str | None
    region: str | None
    ca_file: Path | None
    """Certificate authorities to trust besides the usual ones."""
    read_seconds: float
    """How long it may say nothing."""
    credentials: Credentials | None = None
    """Those in the environment where None."""
    trusts_file_alone: bool = False
    """Whether the usual authorities are not trusted where there are others."""


def connect(settings: S3Settings) -> Any:
    """Return a client; endpoint and region are, where not given, those in the environment, or else AWS's us-east-1.

    Raises StoreError for settings that can't be used, StartError for a CA file that can't be.
    """
    from botocore import UNSIGNED
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, PartialCredentialsError

    config = Config(
        signature_version=UNSIGNED if settings.credentials is ANONYMOUS else None,
        connect_timeout=5,
        read_timeout=settings.read_seconds,
        # Retrying is the caller's: for as long as for every other address.
        retries={"total_max_attempts": 1},
        # Any host that isn't Amazon's would need a DNS name a bucket.
        s3={"addressing_style": "path" if settings.endpoint else "auto"},
        # Stores other than Amazon's take no checksums in trailers.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    authorities = _find_authorities(settings)
    try:
        session = _make_session(settings.region, settings.credentials)
        return session.client(
            "s3",
            endpoint_url=settings.endpoint,
            region_name=session.region_name or DEFAULT_REGION,
            config=config,
            verify=authorities,
        )
    except PartialCredentialsError:
        raise StoreError(Trouble.NO_CREDENTIALS, NO_CREDENTIALS) from None
    except (ValueError, BotoCoreError) as error:
        raise StoreError(Trouble.REFUSED, last_words(error)) from None


def _find_authorities(settings: S3Settings) -> str | None:
    """Return the file of all certificate authorities to trust; None means the usual ones."""
    if settings.trusts_file_alone:
        return str(settings.ca_file) if settings.ca_file else None
    return bundle_authorities(settings.ca_file)


def _make_session(region: str | None, credentials: Credentials | None) -> Any:
    import boto3.session

    # boto3 itself reads AWS_DEFAULT_REGION alone, of all SDKs.
    region = region or os.environ.get("AWS_REGION")
    if credentials is None:
        return boto3.session.Session(region_name=region)
    return boto3.session.Session(credentials.key_id or None, credentials.key or None, region_name=region)
