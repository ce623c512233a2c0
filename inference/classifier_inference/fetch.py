"""Brings a classifier's files here by https and checks what can be checked before the server starts.

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
import structlog
import tenacity

from classifier_inference.digest import check_digest, digest_file
from classifier_inference.document import read_document
from classifier_inference.labels import read_labels
from classifier_inference.sources import Source, find_files, in_folder, list_sources
from classifier_inference.spec import ClassifierSpec
from classifier_inference.termination import Fetched, Reason
from classifier_inference.termination_log import StartError, write_termination
from classifier_inference.uri import FileUri, HttpsUri

RETRY_SECONDS = 30.0
_TIMEOUT = httpx2.Timeout(15, connect=5)
_PASSING = {
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.TOO_EARLY,
    HTTPStatus.TOO_MANY_REQUESTS,
}
"""Statuses under 500 that may be gone a moment later."""

_log = structlog.get_logger("fetch")


class PassingError(Exception):
    """A download that failed, and may not fail the next time."""


def fetch_document(document: Path, folder: Path, ca_file: Path | None, retry_seconds: float, log: Path) -> int:
    """Bring the document's files into a folder and leave a note of it; return the process's exit status."""
    try:
        classifier = read_document(document)
        with make_client(ca_file) as client:
            fetched = fetch_files(classifier.spec, folder, client, retry_seconds)
    except StartError as error:
        write_termination(error.failure, log)
        return 1
    write_termination(fetched, log)
    return 0


def make_client(ca_file: Path | None) -> httpx2.Client:
    """Return a client that trusts the system's certificate authorities, and those in the PEM file, if one is given."""
    context = ssl.create_default_context()
    if ca_file is not None:
        try:
            context.load_verify_locations(cafile=ca_file)
        except (OSError, ssl.SSLError) as error:
            raise StartError(Reason.SPEC_INVALID, f"the CA file {ca_file} can't be read: {error}") from None
    return httpx2.Client(
        verify=context,
        timeout=_TIMEOUT,
        follow_redirects=True,
        event_hooks={"request": [_require_https]},
        headers={"Accept-Encoding": "identity", "User-Agent": "classifier-fetch"},
    )


def fetch_files(spec: ClassifierSpec, folder: Path, client: httpx2.Client, retry_seconds: float) -> Fetched:
    """Download what has an https address into the folder, and check model and labels, whoever brought them.

    Raises StartError for what retrying can't mend, or what `retry_seconds` of it didn't.
    """
    for source in list_sources(spec):
        match source.address:
            case HttpsUri() as address:
                download(source, address, folder, client, retry_seconds)
            case FileUri():
                raise StartError(
                    Reason.SPEC_INVALID, f"{source.what} has a file: address, which only works without a cluster"
                )
    files = find_files(spec, in_folder(folder))
    read_labels(spec, files.labels)
    sha256 = digest_file(files.model)
    check_digest(sha256, spec.model.sha256)
    return Fetched(sha256=sha256, bytes=files.model.stat().st_size)


def download(source: Source, address: HttpsUri, folder: Path, client: httpx2.Client, retry_seconds: float) -> Path:
    """Download one file, again with growing delay while the failure may pass; return where it lies.

    It gets its name only when it is whole.
    """
    target = folder / source.name
    part = folder / f".{source.name}.part"
    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(PassingError),
        wait=tenacity.wait_exponential_jitter(initial=0.5, max=8, jitter=0.5),
        stop=tenacity.stop_before_delay(retry_seconds),
        before_sleep=lambda state: _log.warning("retrying", file=source.name, why=str(_get_error(state))),
        reraise=True,
    )
    try:
        retrying(_download_once, source, address.url, part, client)
        part.replace(target)
    except PassingError as error:
        raise StartError(source.unreachable, f"{source.what} at {printable(address.url)}: {error}") from None
    except OSError as error:
        raise StartError(source.unreachable, f"{source.what} can't be written: {error.strerror}") from None
    finally:
        part.unlink(missing_ok=True)
    _log.info("fetched", file=source.name, source=printable(address.url), bytes=target.stat().st_size)
    return target


def printable(url: str) -> str:
    """Return a URL without what may be secret: user, password, query and fragment."""
    try:
        parsed = httpx2.URL(url)
    except httpx2.InvalidURL:
        return f"https://{urlsplit(url).hostname}/…"
    port = f":{parsed.port}" if parsed.port else ""
    host = f"[{parsed.host}]" if ":" in parsed.host else parsed.host
    return f"{parsed.scheme}://{host}{port}{parsed.path}"


def _download_once(source: Source, url: str, part: Path, client: httpx2.Client) -> None:
    with _explained(source, url), client.stream("GET", url) as response, part.open("wb") as file:
        _judge_status(source, url, response.status_code)
        size = 0
        for chunk in response.iter_bytes(2**20):
            size += len(chunk)
            if size > source.limit_bytes:
                raise StartError(
                    source.unreachable, f"{source.what} at {printable(url)} is over {source.limit_bytes} bytes"
                )
            file.write(chunk)


def _judge_status(source: Source, url: str, status: int) -> None:
    """Raise StartError for an answer that stays what it is, PassingError for one that may not."""
    if status == HTTPStatus.OK:
        return
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in _PASSING:
        raise PassingError(f"the server answered {_name_status(status)}")
    gone = status in {HTTPStatus.NOT_FOUND, HTTPStatus.GONE}
    raise StartError(
        source.not_found if gone else source.unreachable,
        f"{source.what} at {printable(url)}: the server answered {_name_status(status)}",
    )


def _name_status(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


@contextmanager
def _explained(source: Source, url: str) -> Iterator[None]:
    """Say what the client's exceptions mean, in words of our own: theirs may hold the whole address."""
    try:
        yield
    except (httpx2.InvalidURL, httpx2.UnsupportedProtocol, httpx2.TooManyRedirects) as error:
        raise StartError(source.unreachable, f"{source.what} at {printable(url)}: {_name(error)}") from None
    except httpx2.TransportError as error:
        certificate = _find_cause(error, ssl.SSLCertVerificationError)
        if isinstance(certificate, ssl.SSLCertVerificationError):
            raise StartError(
                source.unreachable,
                f"{source.what} at {printable(url)}: its certificate is not trusted: {certificate.verify_message}",
            ) from None
        if _find_cause(error, socket.gaierror) is not None:
            raise PassingError("the host's name can't be resolved") from None
        if _find_cause(error, ConnectionRefusedError) is not None:
            raise PassingError("the connection was refused") from None
        raise PassingError(_name(error)) from None
    except httpx2.DecodingError as error:
        raise PassingError(_name(error)) from None


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


def _get_error(state: tenacity.RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome is not None else None
