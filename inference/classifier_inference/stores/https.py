"""Files behind HTTPS.

Addresses may hold a password or a token: messages name the host and the path alone.
"""

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2

from classifier_inference.stores.authorities import make_context
from classifier_inference.stores.remote_file import CHUNK_BYTES, RemoteFile
from classifier_inference.stores.store_error import StoreError, Trouble

TIMEOUT = httpx2.Timeout(15, connect=5)
_PASSING = {
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.TOO_EARLY,
    HTTPStatus.TOO_MANY_REQUESTS,
}
"""Statuses under 500 that may be gone a moment later."""


def make_client(ca_file: Path | None) -> httpx2.Client:
    """Return a client that goes to https:// alone, also where it is redirected."""
    return httpx2.Client(
        verify=make_context(ca_file),
        timeout=TIMEOUT,
        follow_redirects=True,
        event_hooks={"request": [_require_https]},
        headers={"Accept-Encoding": "identity", "User-Agent": "classifier-fetch"},
    )


def open_https(client: httpx2.Client, url: str) -> RemoteFile:
    """Return the file at a URL."""

    @contextmanager
    def read() -> Iterator[Iterator[bytes]]:
        with explained(), asking(client, url) as response:
            yield response.iter_bytes(CHUNK_BYTES)

    with explained():
        return RemoteFile(printable(url), read)


@contextmanager
def asking(
    client: httpx2.Client, url: httpx2.URL | str, *, takes_redirect: bool = False, **request: Any
) -> Iterator[httpx2.Response]:
    """Yield the answer to a GET: with a file in it, or, where that is taken, with the address that it sends on to.

    Raises StoreError for any other, and httpx2's exceptions, which `explained` knows.
    """
    with client.stream("GET", url, **request) as response:
        if not (takes_redirect and response.has_redirect_location):
            judge_status(response.status_code)
        yield response


def printable(url: str) -> str:
    """Return a URL without what may be secret: user, password, query and fragment."""
    try:
        parsed = httpx2.URL(url)
    except httpx2.InvalidURL:
        return f"https://{urlsplit(url).hostname}/…"
    port = f":{parsed.port}" if parsed.port else ""
    host = f"[{parsed.host}]" if ":" in parsed.host else parsed.host
    return f"{parsed.scheme}://{host}{port}{parsed.path}"


def judge_status(status: int) -> None:
    """Raise StoreError for an answer without what was asked for."""
    if status == HTTPStatus.OK:
        return
    message = f"the server answered {_name_status(status)}"
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in _PASSING:
        raise StoreError(Trouble.FAILING, message)
    missing = status in {HTTPStatus.NOT_FOUND, HTTPStatus.GONE}
    raise StoreError(Trouble.NOTHING_THERE if missing else Trouble.REFUSED, message)


@contextmanager
def explained() -> Iterator[None]:
    """Raise StoreError for the client's exceptions, in words of our own: theirs may hold the whole address."""
    try:
        yield
    except (httpx2.InvalidURL, httpx2.RequestError) as error:
        raise explain(error) from None


def explain(error: httpx2.InvalidURL | httpx2.RequestError) -> StoreError:
    """Return what one of the client's exceptions means."""
    if isinstance(error, httpx2.InvalidURL | httpx2.UnsupportedProtocol | httpx2.TooManyRedirects):
        return StoreError(Trouble.REFUSED, _name(error))
    if isinstance(error, httpx2.TransportError):
        certificate = _find_cause(error, ssl.SSLCertVerificationError)
        if isinstance(certificate, ssl.SSLCertVerificationError):
            return StoreError(Trouble.NOT_TRUSTED, f"its certificate is not trusted: {certificate.verify_message}")
        if _find_cause(error, socket.gaierror) is not None:
            return StoreError(Trouble.AWAY, "the host's name can't be resolved")
        if _find_cause(error, ConnectionRefusedError) is not None:
            return StoreError(Trouble.AWAY, "the connection was refused")
    return StoreError(Trouble.AWAY, _name(error))


def _name_status(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def _require_https(request: httpx2.Request) -> None:
    """Refuse to go on where a redirect leads to an address that anybody could answer."""
    if request.url.scheme != "https":
        raise httpx2.UnsupportedProtocol("redirected to an address that is not https", request=request)


def _name(error: Exception) -> str:
    names: dict[type[Exception], str] = {
        httpx2.UnsupportedProtocol: "redirected to an address that is not https",
        httpx2.TooManyRedirects: "redirected too often",
        httpx2.InvalidURL: "the address is malformed",
        httpx2.ConnectTimeout: "no connection within 5 s",
        httpx2.ReadTimeout: "nothing came for 15 s",
        httpx2.RemoteProtocolError: "the connection was closed before the end of the file",
        httpx2.ReadError: "the connection broke off",
    }
    return next((text for kind, text in names.items() if isinstance(error, kind)), type(error).__name__)


def _find_cause(error: BaseException, kind: type[BaseException]) -> BaseException | None:
    found: BaseException | None = error
    while found is not None and not isinstance(found, kind):
        found = found.__cause__ or found.__context__
    return found
