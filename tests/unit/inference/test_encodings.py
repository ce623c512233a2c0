"""Content codings: bounded before they are unfolded, and chosen as the client likes."""

import gzip
import zlib

import pytest

from classifier_inference.http.content_encoding import choose_coding, deflate, inflate
from classifier_inference.http.problem import Kind, ProblemError

CONTENT = b"hello " * 1000


@pytest.mark.parametrize(
    ("body", "coding"),
    [
        (CONTENT, ""),
        (CONTENT, "identity"),
        (gzip.compress(CONTENT, mtime=0), "gzip"),
        (gzip.compress(CONTENT, mtime=0), " GZip "),
        (gzip.compress(CONTENT, mtime=0), "x-gzip"),
        (zlib.compress(CONTENT), "deflate"),
    ],
)
def test_a_body_is_unfolded(body: bytes, coding: str) -> None:
    assert inflate(body, coding, len(CONTENT)) == CONTENT


@pytest.mark.parametrize(
    ("body", "coding", "kind"),
    [
        (gzip.compress(CONTENT + b"!", mtime=0), "gzip", Kind.TOO_MANY_BYTES),
        (zlib.compress(CONTENT + b"!"), "deflate", Kind.TOO_MANY_BYTES),
        (gzip.compress(CONTENT, mtime=0)[:-1], "gzip", Kind.MALFORMED_ENCODING),
        (gzip.compress(CONTENT, mtime=0) + b"!", "gzip", Kind.MALFORMED_ENCODING),
        (b"", "gzip", Kind.MALFORMED_ENCODING),
        (CONTENT, "gzip", Kind.MALFORMED_ENCODING),
        (gzip.compress(CONTENT, mtime=0), "deflate", Kind.MALFORMED_ENCODING),
        (CONTENT, "br", Kind.UNSUPPORTED_ENCODING),
        (CONTENT, "gzip, deflate", Kind.UNSUPPORTED_ENCODING),
    ],
)
def test_a_body_that_is_not_what_its_coding_says_has_its_problem(body: bytes, coding: str, kind: Kind) -> None:
    with pytest.raises(ProblemError) as caught:
        inflate(body, coding, len(CONTENT))
    assert caught.value.kind is kind


@pytest.mark.parametrize(
    ("accepted", "chosen"),
    [
        ("", None),
        ("identity", None),
        ("br", None),
        ("gzip", "gzip"),
        ("deflate", "deflate"),
        ("gzip, deflate, br", "gzip"),
        ("deflate, gzip;q=0.5", "deflate"),
        ("gzip;q=0, deflate;q=0", None),
        ("GZIP; q=0.3", "gzip"),
        ("gzip;q=nonsense", None),
    ],
)
def test_an_answer_is_coded_as_the_client_likes_best(accepted: str, chosen: str | None) -> None:
    assert choose_coding(accepted) == chosen


def test_what_is_folded_unfolds() -> None:
    assert gzip.decompress(deflate(CONTENT, "gzip")) == zlib.decompress(deflate(CONTENT, "deflate")) == CONTENT
