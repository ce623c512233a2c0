"""Request ids: UUIDs of version 7, which sort by time."""

import uuid


def make_uuid7(milliseconds: int, random: bytes) -> uuid.UUID:
    """Return a UUIDv7 (RFC 9562, 5.7) of a Unix time in milliseconds and 10 random bytes."""
    bits = int.from_bytes(random, "big")
    random_a, random_b = bits >> 68, bits & (1 << 62) - 1
    return uuid.UUID(int=(milliseconds & (1 << 48) - 1) << 80 | 7 << 76 | random_a << 64 | 2 << 62 | random_b)
