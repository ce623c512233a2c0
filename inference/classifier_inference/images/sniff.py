"""What an image's first bytes tell, without decoding it. No I/O."""

from dataclasses import dataclass

from classifier_inference.spec.limits import ImageFormat

_SIGNATURES: tuple[tuple[bytes, ImageFormat], ...] = (
    (b"\xff\xd8\xff", "jpeg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"BM", "bmp"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
)


@dataclass(frozen=True)
class EncodedImage:
    """An image as it was sent."""

    content: bytes
    format: ImageFormat | None
    """What the first bytes name; None for bytes that are no image."""


def sniff(content: bytes) -> EncodedImage:
    """Return the bytes with the format that the first of them name."""
    return EncodedImage(content, _find_format(content))


def _find_format(content: bytes) -> ImageFormat | None:
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "webp"
    return next((found for signature, found in _SIGNATURES if content.startswith(signature)), None)


@dataclass(frozen=True)
class WebpHeader:
    """What a WebP's first chunk tells."""

    size: tuple[int, int]
    """(width, height) in pixels."""
    alpha: bool


def read_webp_header(content: bytes) -> WebpHeader | None:
    """Return what a WebP's first chunk tells, or None where that is missing (RFC 9649).

    Pillow sets up WebP's decoder, with two canvases of that size, as soon as it opens one.
    """
    header = _parse_webp(content[12:16], content[20:30])
    return header if header is not None and all(header.size) else None


def _parse_webp(chunk: bytes, data: bytes) -> WebpHeader | None:
    if len(data) < 10:
        return None
    if chunk == b"VP8X":
        size = 1 + int.from_bytes(data[4:7], "little"), 1 + int.from_bytes(data[7:10], "little")
        return WebpHeader(size, alpha=bool(data[0] & 0x10))
    if chunk == b"VP8 ":
        size = int.from_bytes(data[6:8], "little") & 0x3FFF, int.from_bytes(data[8:10], "little") & 0x3FFF
        return WebpHeader(size, alpha=False)
    if chunk == b"VP8L":
        bits = int.from_bytes(data[1:5], "little")
        return WebpHeader((1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)), alpha=bool(bits >> 28 & 1))
    return None
