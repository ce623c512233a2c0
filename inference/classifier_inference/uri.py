"""Addresses of models, labels and images: what each scheme means, and which parts it has. No I/O."""

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

_IMAGE = re.compile(r"(?P<reference>[^\s]*[^\s/:@]+[:@][^\s/@]+)/(?P<path>[^\s:@]+)")


@dataclass(frozen=True)
class ImageUri:
    """A file in a container image: `image://reference/path`, the reference with a tag or a digest."""

    reference: str
    path: str
    """Absolute, inside the image."""


@dataclass(frozen=True)
class HttpsUri:
    """A file behind HTTPS."""

    url: str


@dataclass(frozen=True)
class FileUri:
    """A file of this machine: `file:path`, relative to where the server was started, or `file:///path`."""

    path: Path


Address = ImageUri | HttpsUri | FileUri


def parse_uri(uri: str) -> Address:
    """Return the address's parts. Raises ValueError that says how each scheme is written."""
    scheme, _, rest = uri.partition(":")
    match scheme:
        case "image":
            return _parse_image(uri)
        case "https":
            if not urlsplit(uri).hostname:
                raise ValueError(f"{uri!r} names no host: write https://host/path")
            return HttpsUri(uri)
        case "file":
            path = rest.removeprefix("//")
            if not path or "\0" in path:
                raise ValueError(f"{uri!r} names no file: write file:path or file:///path")
            return FileUri(Path(path))
        case _:
            raise ValueError(f"{uri!r} has no known scheme: use image://reference:tag/path, https://… or file:path")


def _parse_image(uri: str) -> ImageUri:
    match = _IMAGE.fullmatch(uri.removeprefix("image://"))
    if not uri.startswith("image://") or match is None:
        raise ValueError(f"{uri!r} is not image://reference:tag/path: the reference needs a tag or a digest")
    path = match["path"]
    if any(part in {"", ".", ".."} for part in path.split("/")):
        raise ValueError(f"{uri!r} has an empty, '.' or '..' part in its path")
    return ImageUri(match["reference"], f"/{path}")
