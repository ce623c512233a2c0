"""A JPEG's segments and scans (ITU T.81, annex B), told without decoding it. No I/O."""

import re
from dataclasses import dataclass

_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
"""A marker, and no stuffed byte, restart or filling."""
_ALONE = frozenset({0x01, *range(0xD0, 0xD8)})
_START, _END, _SCAN = 0xD8, 0xD9, 0xDA
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
MOST_READ = 2000
"""Segments that are read: beyond them the image isn't taken anyway."""


@dataclass(frozen=True)
class JpegHeader:
    """What a JPEG's segments tell of the work that it is."""

    segments: int
    scans: int
    """Counted no further than the first where decoding needs no more."""
    visits: int
    """Samples that all scans visit together."""
    buffered: bool
    """Whether the decoder keeps all coefficients until the last scan."""


@dataclass(frozen=True)
class _Frame:
    progressive: bool
    samples: dict[int, int]
    """Of each component."""


def read_jpeg_header(content: bytes) -> JpegHeader:
    """Return what is known of a JPEG; of one that breaks off, what came before."""
    segments = scans = visits = 0
    buffered = False
    frame = _Frame(progressive=False, samples={})
    place = 2
    while segments < MOST_READ and (found := _MARKER.search(content, place)) is not None:
        marker, place = content[found.start() + 1], found.end()
        if marker == _END:
            break
        if marker in _ALONE or marker == _START:
            continue
        segments += 1
        size = int.from_bytes(content[place : place + 2], "big")
        data = content[place + 2 : place + size]
        place += size
        if marker in _FRAMES:
            frame = _read_frame(marker, data)
        elif marker == _SCAN:
            scans += 1
            components = data[1 : 1 + 2 * data[0] : 2] if data else b""
            visits += sum(frame.samples.get(component, 0) for component in components)
            buffered = buffered or frame.progressive or len(components) < len(frame.samples)
            if not buffered:
                break
    return JpegHeader(segments, scans, visits, buffered)


def _read_frame(marker: int, data: bytes) -> _Frame:
    height, width = int.from_bytes(data[1:3], "big"), int.from_bytes(data[3:5], "big")
    parts = [data[start : start + 2] for start in range(6, len(data) - 2, 3)]
    areas = {part[0]: (part[1] >> 4) * (part[1] & 15) for part in parts}
    largest = max((part[1] >> 4 for part in parts), default=1) * max((part[1] & 15 for part in parts), default=1)
    samples = {component: width * height * area // max(1, largest) for component, area in areas.items()}
    return _Frame(marker in _PROGRESSIVE, samples)
