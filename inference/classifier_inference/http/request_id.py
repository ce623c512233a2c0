"""Request ids: UUIDs of version 7, which sort by time, and those that clients bring. No I/O."""

import re
import uuid
from collections.abc import Iterable

HEADER = b"x-request-id"

_CLIENTS_OWN = re.compile(rb"[\x21-\x7e]{1,128}")


def make_uuid7(milliseconds: int, random: bytes) -> uuid.UUID:
    """Return a UUIDv7 (RFC 9562, 5.7) of a Unix time in milliseconds and 10 random bytes."""
    bits = int.from_bytes(random, "big")
    random_a, random_b = bits >> 68, bits & (1 << 62) - 1
    return uuid.UUID(int=(milliseconds & (1 << 48) - 1) << 80 | 7 << 76 | random_a << 64 | 2 << 62 | random_b)


def parse_client_id(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """Return the request id that a client gave itself: 1 to 128 visible ASCII characters, else None."""
    found = [value for name, value in headers if name == HEADER]
    if len(found) != 1 or not _CLIENTS_OWN.fullmatch(found[0]):
        return None
    return found[0].decode()
