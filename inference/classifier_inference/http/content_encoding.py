"""Content codings of requests and responses, gzip and deflate (RFC 9110, 8.4.1). No I/O."""

import zlib

from classifier_inference.http.problem import Kind, ProblemError

_WINDOWS = {"gzip": 16 + zlib.MAX_WBITS, "x-gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}
_FASTEST = 1


def inflate(body: bytes, coding: str, limit_bytes: int) -> bytes:
    """Return the body without its Content-Encoding. Raises ProblemError, and never makes more than the limit of it."""
    name = coding.strip().lower()
    if name in {"", "identity"}:
        return body
    if name not in _WINDOWS:
        raise ProblemError(
            Kind.UNSUPPORTED_ENCODING, "Content-Encoding may be gzip or deflate", {"Accept-Encoding": "gzip, deflate"}
        )
    inflater = zlib.decompressobj(_WINDOWS[name])
    try:
        content = inflater.decompress(body, limit_bytes + 1)
    except zlib.error as error:
        raise ProblemError(Kind.MALFORMED_ENCODING, f"the body is not {name}: {error}") from None
    if len(content) > limit_bytes:
        raise ProblemError(Kind.TOO_MANY_BYTES, f"a compressed body may unfold to {limit_bytes} bytes at most")
    if not inflater.eof:
        raise ProblemError(Kind.MALFORMED_ENCODING, f"the {name} body was cut off")
    if inflater.unused_data:
        raise ProblemError(Kind.MALFORMED_ENCODING, f"something follows the end of the {name} body")
    return content


def choose_coding(accept_encoding: str) -> str | None:
    """Return the coding that the client likes best, gzip first; None for a response as it is."""
    weights = dict(_parse_choice(choice) for choice in accept_encoding.lower().split(","))
    best = max(("gzip", "deflate"), key=lambda name: weights.get(name, 0))
    return best if weights.get(best, 0) > 0 else None


def deflate(content: bytes, coding: str) -> bytes:
    """Return the content in a coding that choose_coding gave."""
    deflater = zlib.compressobj(_FASTEST, wbits=_WINDOWS[coding])
    return deflater.compress(content) + deflater.flush()


def _parse_choice(choice: str) -> tuple[str, float]:
    name, _, parameter = choice.partition(";")
    weight = parameter.strip().removeprefix("q=")
    try:
        return name.strip(), float(weight) if parameter else 1.0
    except ValueError:
        return name.strip(), 0.0
