"""Images from elsewhere, brought before a request takes a worker thread."""

import asyncio
from functools import partial

from classifier_inference.engine.memory import HeldBody
from classifier_inference.http.problem import Kind, ProblemError
from classifier_inference.http.serving import Fetcher, Serving
from classifier_inference.stores.image_root import TooLargeError
from classifier_inference.stores.store_error import NotAllowedError, StoreError, Trouble
from classifier_inference.telemetry.trace_context import TraceContext

Brought = dict[str, bytes | ProblemError]
"""What lay at each address, or why that couldn't be had."""


async def bring_images(serving: Serving, addresses: list[str], held: HeldBody, trace: TraceContext | None) -> Brought:
    """Return what lies at the addresses, counted in `held`; each is asked once. Raises what `held` and pool raise."""
    if serving.fetcher is None:
        refused = ProblemError(Kind.ADDRESS_NOT_ALLOWED, "images.allow names no address")
        return dict.fromkeys(addresses, refused)
    limit = serving.classifier.spec.limits.bytes
    distinct = list(dict.fromkeys(addresses))
    headers = {"traceparent": str(trace)} if trace is not None else {}
    fetches = (_bring(serving.fetcher, address, limit, held, headers) for address in distinct)
    return dict(zip(distinct, await asyncio.gather(*fetches), strict=True))


async def _bring(
    fetcher: Fetcher, address: str, limit: int, held: HeldBody, headers: dict[str, str]
) -> bytes | ProblemError:
    try:
        return await fetcher.pool.run(partial(fetcher.images.fetch, address, held.grow, headers))
    except TooLargeError:
        return ProblemError(Kind.TOO_MANY_BYTES, f"an image may have at most {limit} bytes")
    except StoreError as error:
        return ProblemError(_name_kind(error), str(error))


def _name_kind(error: StoreError) -> Kind:
    if isinstance(error, NotAllowedError):
        return Kind.ADDRESS_NOT_ALLOWED
    if error.missing:
        return Kind.NO_SUCH_IMAGE
    return Kind.IMAGE_TIMEOUT if error.trouble is Trouble.LATE else Kind.IMAGE_UNREACHABLE
