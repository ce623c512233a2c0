"""Images that requests name by address: https:// and s3://, as far as the object allows them.

A name is resolved once, all of its addresses are judged, and the connection goes to one of those: a name that leads
elsewhere a moment later leads nowhere. Each redirect is judged like the address that a request names. No proxy is used.
"""

import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from functools import cached_property
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import httpx2

from classifier_inference.spec.image_addresses import IMAGES_KEY_ID_VARIABLE, IMAGES_KEY_VARIABLE, Images, ImageStore
from classifier_inference.spec.uri import S3Uri, parse_uri
from classifier_inference.stores import https
from classifier_inference.stores.authorities import make_context
from classifier_inference.stores.cut_off import Line, cutting
from classifier_inference.stores.image_root import TooLargeError
from classifier_inference.stores.public_addresses import HTTPS_PORT, find_rule, may_connect
from classifier_inference.stores.s3.connection import ANONYMOUS, DEFAULT_REGION, Credentials, S3Settings
from classifier_inference.stores.s3.objects import S3Store
from classifier_inference.stores.store_error import NotAllowedError, StoreError, Trouble

SCHEMES = ("https://", "s3://")
SECONDS = 15.0
"""How long one image may take, from its name to its last byte."""
STALL_SECONDS = 5.0
REDIRECTS = 3
READ_SECONDS = 15
CHUNK_BYTES = 64 * 1024

Grow = Callable[[int], None]
"""Counts bytes before they are kept; may raise."""


class RemoteImages:
    """Fetches images from the addresses that are allowed; blocks, and may be used from many threads."""

    def __init__(self, images: Images, limit_bytes: int, ca_file: Path | None, environment: Mapping[str, str]) -> None:
        self._images = images
        self._limit_bytes = limit_bytes
        self._ca_file = ca_file
        self._environment = environment
        self._client = httpx2.Client(
            verify=make_context(ca_file),
            trust_env=False,
            timeout=STALL_SECONDS,
            # A connection belongs to one name; the pool knows it by its address alone.
            limits=httpx2.Limits(max_keepalive_connections=0),
            headers={"Accept-Encoding": "identity", "User-Agent": "classifier"},
        )

    def fetch(self, address: str, grow: Grow, headers: Mapping[str, str]) -> bytes:
        """Return what lies at an address.

        `headers` go along to https:// ones. Raises StoreError, which is NotAllowedError for an address that isn't
        allowed, LATE or `missing`, or else says why who has the image doesn't give it; TooLargeError, and what `grow`
        raises.
        """
        deadline = time.monotonic() + SECONDS
        with _explained(deadline):
            if address.startswith("s3://"):
                with self._open_object(address, deadline) as (size, chunks):
                    return self._read(size, chunks, grow, deadline)
            for _ in range(REDIRECTS + 1):
                with self._ask(address, headers, deadline) as response:
                    if not response.has_redirect_location:
                        size = int(response.headers.get("content-length", 0))
                        # Piece by piece as they come: to wait for a full one is to wait for whoever sends slowly.
                        return self._read(size, response.iter_raw(), grow, deadline)
                    address = _join(address, response.headers["location"])
        raise StoreError(Trouble.REFUSED, "redirected too often")

    @contextmanager
    def _ask(self, url: str, headers: Mapping[str, str], deadline: float) -> Iterator[httpx2.Response]:
        rule = find_rule(url, self._images.allow)
        parsed = urlsplit(url)
        host, port = parsed.hostname or "", parsed.port or HTTPS_PORT
        ip = _resolve(host, port, private=rule in self._images.private)
        _judge_time(deadline)
        target = httpx2.URL(url).copy_with(host=ip, fragment=None)
        with (
            closing(Line()) as line,
            cutting(deadline, line.cut),
            https.asking(
                self._client,
                target,
                takes_redirect=True,
                headers={**headers, "Host": parsed.netloc},
                extensions={"sni_hostname": host, "trace": line.follow},
            ) as response,
        ):
            yield response

    @contextmanager
    def _open_object(self, address: str, deadline: float) -> Iterator[tuple[int, Iterator[bytes]]]:
        try:
            found = parse_uri(address)
        except ValueError as error:
            raise NotAllowedError(str(error)) from None
        assert isinstance(found, S3Uri)  # noqa: S101 - by its scheme
        if f"s3://{found.bucket}" not in self._images.allow:
            raise NotAllowedError(f"images.allow doesn't have s3://{found.bucket}")
        with self._store.reading(found.bucket, found.key) as answer:
            body = answer["Body"]
            with body as connection, cutting(deadline, connection.shutdown):
                yield answer["ContentLength"], body.iter_chunks(CHUNK_BYTES)

    @cached_property
    def _store(self) -> S3Store:
        place = self._images.s3 or ImageStore()
        key_id, key = self._environment.get(IMAGES_KEY_ID_VARIABLE), self._environment.get(IMAGES_KEY_VARIABLE)
        store = S3Store(
            S3Settings(
                place.endpoint,
                place.region or DEFAULT_REGION,
                self._ca_file if place.endpoint else None,
                READ_SECONDS,
                Credentials(key_id, key) if key_id and key else ANONYMOUS,
                # A store of one's own is trusted by the file alone.
                trusts_file_alone=True,
            )
        )
        store.check_settings()
        return store

    def _read(self, size: int, chunks: Iterator[bytes], grow: Grow, deadline: float) -> bytes:
        if size > self._limit_bytes:
            raise TooLargeError
        content = bytearray()
        for chunk in chunks:
            _judge_time(deadline)
            if len(content) + len(chunk) > self._limit_bytes:
                raise TooLargeError
            # Twice: as it comes, and as it is handed on.
            grow(2 * len(chunk))
            content += chunk
        return bytes(content)


def _join(address: str, location: str) -> str:
    try:
        return urljoin(address, location)
    except ValueError:
        raise NotAllowedError("redirected to a malformed address") from None


def _resolve(host: str, port: int, *, private: bool) -> str:
    """Return an address of the host, all of which may be connected to. Raises NotAllowedError."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise StoreError(Trouble.REFUSED, "the host's name can't be resolved") from None
    addresses = [str(entry[4][0]) for entry in found]
    if not all(may_connect(address, private=private) for address in addresses):
        raise NotAllowedError(f"{host} has an address that is not public")
    return addresses[0]


def _judge_time(deadline: float) -> None:
    if time.monotonic() > deadline:
        raise StoreError(Trouble.LATE, f"the image didn't come within {SECONDS:g} s")


@contextmanager
def _explained(deadline: float) -> Iterator[None]:
    try:
        with https.explained():
            try:
                yield
            except httpx2.TimeoutException:
                raise StoreError(Trouble.LATE, f"nothing came for {STALL_SECONDS:g} s") from None
    except StoreError as error:
        if error.missing:
            raise StoreError(error.trouble, "there is nothing at the address") from None
        if error.passing and error.trouble is not Trouble.LATE:
            _judge_time(deadline)
        raise
