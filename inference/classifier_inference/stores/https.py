"""Files behind HTTPS.

Addresses may hold a password or a token: messages name the host and the path alone.
"""

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

import httpx2

from classifier_inference.stores.authorities import make_context
from classifier_inference.stores.remote_file import CHUNK_BYTES, PassingError, RefusedError, RemoteFile

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
        with explained(), client.stream("GET", url) as response:
            judge_status(response.status_code)
            yield response.iter_bytes(CHUNK_BYTES)

    with explained():
        return RemoteFile(printable(url), read)


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
    """Raise RefusedError for an answer that stays what it is, PassingError for one that may not."""
    if status == HTTPStatus.OK:
        return
    message = f"the server answered {_name_status(status)}"
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in _PASSING:
        raise PassingError(message)
    raise RefusedError(message, missing=status in {HTTPStatus.NOT_FOUND, HTTPStatus.GONE})


@contextmanager
def explained() -> Iterator[None]:
    """Say what the client's exceptions mean, in words of our own: theirs may hold the whole address."""
    try:
        yield
    except (httpx2.InvalidURL, httpx2.UnsupportedProtocol, httpx2.TooManyRedirects) as error:
        raise RefusedError(_name(error)) from None
    except httpx2.TransportError as error:
        certificate = _find_cause(error, ssl.SSLCertVerificationError)
        if isinstance(certificate, ssl.SSLCertVerificationError):
            raise RefusedError(f"its certificate is not trusted: {certificate.verify_message}") from None
        if _find_cause(error, socket.gaierror) is not None:
            raise PassingError("the host's name can't be resolved") from None
        if _find_cause(error, ConnectionRefusedError) is not None:
            raise PassingError("the connection was refused") from None
        raise PassingError(_name(error)) from None
    except httpx2.DecodingError as error:
        raise PassingError(_name(error)) from None


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
