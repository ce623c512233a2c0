"""Addresses of models, labels and images: what each scheme means, and which parts it has. No I/O."""

import re
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

_IMAGE = re.compile(r"(?P<reference>[^\s]*[^\s/:@]+[:@][^\s/@]+)/(?P<path>[^\s:@]+)")
_S3 = re.compile(r"s3://(?P<bucket>[a-z0-9][-.a-z0-9]{1,61}[a-z0-9])/(?P<key>[^\s/](\S*[^\s/])?)")
_MODELS = re.compile(
    r"models:/(?P<name>[^\s/:@]([^/:@\n\r]*[^\s/:@])?)"
    r"(/(?P<version>[1-9][0-9]{0,9})|@(?P<alias>[A-Za-z_][-.\w]*))(/(?P<path>[^\s/](\S*[^\s/])?))?",
    re.ASCII,
)


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

    def __str__(self) -> str:
        """Leave out what may be secret: user, password, query and fragment."""
        parsed = urlsplit(self.url)
        return f"https://{parsed.hostname}{parsed.path}"


@dataclass(frozen=True)
class S3Uri:
    """An object of an S3 store: `s3://bucket/key`."""

    bucket: str
    key: str

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


@dataclass(frozen=True)
class ModelsUri:
    """A model version of MLflow's registry, or a file of it: `models:/name/version` or `models:/name@alias`, `[/path]`.

    Exactly one of version and alias is set.
    """

    name: str
    version: str | None = None
    alias: str | None = None
    path: str = ""
    """Inside the version's folder; empty for the model itself."""

    def __str__(self) -> str:
        chosen = f"/{self.version}" if self.alias is None else f"@{self.alias}"
        return f"models:/{self.name}{chosen}" + (f"/{self.path}" if self.path else "")

    def at(self, version: str) -> "ModelsUri":
        """Return the same address in a version of the model."""
        return replace(self, version=version, alias=None)


@dataclass(frozen=True)
class FileUri:
    """A file of this machine: `file:path`, relative to where the server was started, or `file:///path`."""

    path: Path


Address = ImageUri | HttpsUri | S3Uri | ModelsUri | FileUri


def parse_uri(uri: str) -> Address:
    """Return the address's parts. Raises ValueError that says how each scheme is written."""
    scheme, _, rest = uri.partition(":")
    match scheme:
        case "image":
            return _parse_image(uri)
        case "https":
            return _parse_https(uri)
        case "s3":
            return _parse_s3(uri)
        case "models":
            return _parse_models(uri)
        case "file":
            path = rest.removeprefix("//")
            if not path or "\0" in path:
                raise ValueError(f"{uri!r} names no file: write file:path or file:///path")
            return FileUri(Path(path))
        case _:
            raise ValueError(
                f"{uri!r} has no known scheme: use image://reference:tag/path, https://…, s3://bucket/key, "
                "models:/name/version, models:/name@alias or file:path"
            )


def is_inside(path: str) -> bool:
    """Return whether a relative path stays in the folder that it starts from, however it is read."""
    parts = path.split("/")
    return "\\" not in path and path.isprintable() and not any(part in {"", ".", ".."} for part in parts)


def _parse_image(uri: str) -> ImageUri:
    match = _IMAGE.fullmatch(uri.removeprefix("image://"))
    if not uri.startswith("image://") or match is None:
        raise ValueError(f"{uri!r} is not image://reference:tag/path: the reference needs a tag or a digest")
    path = match["path"]
    if any(part in {"", ".", ".."} for part in path.split("/")):
        raise ValueError(f"{uri!r} has an empty, '.' or '..' part in its path")
    return ImageUri(match["reference"], f"/{path}")


def _parse_https(uri: str) -> HttpsUri:
    try:
        host = urlsplit(uri).hostname
    except ValueError:
        host = None
    if not uri.startswith("https://") or not host:
        raise ValueError(f"{uri!r} names no host: write https://host/path")
    return HttpsUri(uri)


def _parse_s3(uri: str) -> S3Uri:
    match = _S3.fullmatch(uri)
    if match is None or not is_inside(match["key"]):
        raise ValueError(f"{uri!r} is not s3://bucket/key, the key with no empty, '.' or '..' part")
    return S3Uri(match["bucket"], match["key"])


def _parse_models(uri: str) -> ModelsUri:
    match = _MODELS.fullmatch(uri)
    if match is None or not is_inside(match["path"] or "file"):
        raise ValueError(f"{uri!r} is neither models:/name/version nor models:/name@alias, with or without a /path")
    return ModelsUri(match["name"], match["version"], match["alias"], match["path"] or "")
