"""Images that requests name: files under the image root, and addresses, brought before a worker thread is taken."""

import asyncio
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from opentelemetry.trace import SpanContext

from classifier_inference.engine.memory import HeldBody
from classifier_inference.engine.pool import Pool
from classifier_inference.http.body import too_many_bytes
from classifier_inference.http.problem import Kind, ProblemError
from classifier_inference.stores import image_root
from classifier_inference.stores.image_root import TooLargeError
from classifier_inference.stores.named_images import RemoteImages
from classifier_inference.stores.store_error import NotAllowedError, StoreError, Trouble
from classifier_inference.telemetry.trace_context import render_traceparent

Brought = dict[str, bytes | ProblemError]
"""What lay at each address, or why that couldn't be had."""


@dataclass(frozen=True)
class Fetcher:
    """Brings images from elsewhere, on threads of its own: who answers slowly keeps no other request waiting."""

    images: RemoteImages
    pool: Pool


class Finder:
    """Finds the images that requests name, each of so many bytes at most."""

    def __init__(self, root: Path | None, fetcher: Fetcher | None, limit_bytes: int) -> None:
        """`root`: None refuses files. `fetcher`: None where no address is allowed."""
        self._root = root
        self._fetcher = fetcher
        self._limit_bytes = limit_bytes

    def close(self) -> None:
        """Bring no more."""
        if self._fetcher is not None:
            self._fetcher.pool.close()

    async def bring(self, addresses: list[str], held: HeldBody, trace: SpanContext | None) -> Brought:
        """Return what lies at the addresses, counted in `held`; each is asked once.

        Raises what `held` and the pool raise.
        """
        if self._fetcher is None:
            refused = ProblemError(Kind.ADDRESS_NOT_ALLOWED, "images.allow names no address")
            return dict.fromkeys(addresses, refused)
        distinct = list(dict.fromkeys(addresses))
        headers = {"traceparent": render_traceparent(trace)} if trace is not None else {}
        fetches = (self._bring(self._fetcher, address, held, headers) for address in distinct)
        return dict(zip(distinct, await asyncio.gather(*fetches), strict=True))

    async def _bring(
        self, fetcher: Fetcher, address: str, held: HeldBody, headers: dict[str, str]
    ) -> bytes | ProblemError:
        try:
            return await fetcher.pool.run(partial(fetcher.images.fetch, address, held.grow, headers))
        except TooLargeError:
            return too_many_bytes(self._limit_bytes)
        except StoreError as error:
            return ProblemError(_name_kind(error), str(error))

    def read(self, path: str) -> bytes:
        """Return the content of the file that a request names. Raises ProblemError."""
        if self._root is None:
            raise ProblemError(
                Kind.IMAGE_ROOT_UNSET, "image_path is refused: this server was started without IMAGE_ROOT"
            )
        if "://" in path:
            raise ProblemError(
                Kind.UNUSABLE_PATH, "addresses are not taken: image_path names a file under the image root"
            )
        try:
            return image_root.read_file(self._root, path, self._limit_bytes)
        except image_root.OutsideError:
            raise ProblemError(Kind.OUTSIDE_IMAGE_ROOT, "image_path leads out of the image root") from None
        except image_root.NoSuchFileError:
            raise ProblemError(Kind.NO_SUCH_IMAGE, "there is no such file under the image root") from None
        except image_root.UnusablePathError as error:
            raise ProblemError(Kind.UNUSABLE_PATH, f"image_path can't be read: {error}") from None
        except TooLargeError:
            raise too_many_bytes(self._limit_bytes) from None


def _name_kind(error: StoreError) -> Kind:
    if isinstance(error, NotAllowedError):
        return Kind.ADDRESS_NOT_ALLOWED
    if error.missing:
        return Kind.NO_SUCH_IMAGE
    return Kind.IMAGE_TIMEOUT if error.trouble is Trouble.LATE else Kind.IMAGE_UNREACHABLE
