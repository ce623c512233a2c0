"""What an image's first bytes tell, without decoding it. No I/O."""

from classifier_inference.spec import ImageFormat

_SIGNATURES: tuple[tuple[bytes, ImageFormat], ...] = (
    (b"\xff\xd8\xff", "jpeg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"BM", "bmp"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
)


def sniff_format(content: bytes) -> ImageFormat | None:
    """Return the format that the first bytes name, or None for bytes that are no image."""
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "webp"
    return next((found for signature, found in _SIGNATURES if content.startswith(signature)), None)


def read_webp_size(content: bytes) -> tuple[int, int] | None:
    """Return a WebP's (width, height) from its first chunk, or None where that is missing (RFC 9649).

    Pillow sets up WebP's decoder, with two canvases of that size, as soon as it opens one.
    """
    chunk, data = content[12:16], content[20:30]
    if len(data) < 10:
        return None
    if chunk == b"VP8X":
        return 1 + int.from_bytes(data[4:7], "little"), 1 + int.from_bytes(data[7:10], "little")
    if chunk == b"VP8 ":
        return int.from_bytes(data[6:8], "little") & 0x3FFF, int.from_bytes(data[8:10], "little") & 0x3FFF
    if chunk == b"VP8L":
        bits = int.from_bytes(data[1:5], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    return None
