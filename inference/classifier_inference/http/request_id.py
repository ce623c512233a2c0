"""Request ids that clients bring. No I/O."""

import re
from collections.abc import Iterable

HEADER = b"x-request-id"

_CLIENTS_OWN = re.compile(rb"[\x21-\x7e]{1,128}")


def parse_client_id(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """Return the request id that a client gave itself: 1 to 128 visible ASCII characters, else None."""
    found = [value for name, value in headers if name == HEADER]
    if len(found) != 1 or not _CLIENTS_OWN.fullmatch(found[0]):
        return None
    return found[0].decode()
