"""Which certificate authorities are trusted: the usual ones and a PEM file's, in the two forms that clients take."""

import os
import ssl
import tempfile
from functools import cache
from pathlib import Path

from classifier_inference.report.start_error import StartError
from classifier_inference.report.termination import Reason


def make_context(ca_file: Path | None) -> ssl.SSLContext:
    """Return a context that trusts the system's certificate authorities, and those in the PEM file, if one is given.

    Raises StartError for a file that can't be read or holds no certificate.
    """
    context = ssl.create_default_context()
    if ca_file is not None:
        try:
            context.load_verify_locations(cafile=ca_file)
        except (OSError, ssl.SSLError) as error:
            raise StartError(Reason.SPEC_INVALID, f"the CA file {ca_file} can't be read: {error}") from None
    return context


@cache
def bundle_authorities(ca_file: Path | None) -> str | None:
    """Return one file of the usual certificate authorities and the given ones, as boto3 wants them; None for none.

    It is made once a process, in memory where the system has files there, so that none is left behind. Raises
    StartError as make_context does.
    """
    if ca_file is None:
        return None
    from botocore.httpsession import where

    make_context(ca_file)
    usual = Path(ssl.get_default_verify_paths().cafile or where())
    return _keep(usual.read_bytes() + b"\n" + ca_file.read_bytes())


def _keep(content: bytes) -> str:
    """Return a path at which the content can be read as long as this process lives."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("classifier-ca")
        with open(descriptor, "wb", closefd=False) as file:
            file.write(content)
        return f"/proc/self/fd/{descriptor}"
    with tempfile.NamedTemporaryFile(prefix="classifier-ca-", suffix=".pem", delete=False) as bundle:
        bundle.write(content)
    return bundle.name
