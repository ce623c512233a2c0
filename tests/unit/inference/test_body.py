"""What a body is: its first bytes decide."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifier_inference.http.body import ImageBytes, ImagePath, Several, parse_named, parse_sent
from classifier_inference.http.problem import Kind, ProblemError
from classifier_inference.spec.limits import Limits
from tests.tiny_model import make_image

LIMITS = Limits(batch=3)
IMAGE = make_image()
TYPES = ["", "image/png", "application/json", "multipart/form-data; boundary=other", "text/plain", "nonsense"]


def parse_body(body: bytes, content_type: str, limits: Limits) -> ImageBytes | ImagePath | Several:
    named = parse_named(body, limits)
    return named if named is not None else parse_sent(body, content_type, limits)


def multipart(*parts: tuple[str, bytes], boundary: str = "xyz") -> bytes:
    lines = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; filename="a.png"\r\n\r\n'.encode()
        + content
        + b"\r\n"
        for name, content in parts
    ]
    return b"".join(lines) + f"--{boundary}--\r\n".encode()


@pytest.mark.parametrize("content_type", TYPES)
def test_the_content_type_changes_nothing_about_the_three_forms(content_type: str) -> None:
    assert parse_body(IMAGE, content_type, LIMITS) == ImageBytes(IMAGE)
    assert parse_body(multipart(("file", IMAGE)), content_type, LIMITS) == ImageBytes(IMAGE, "a.png")
    assert parse_body(b' \n{"image_path": "a.jpg"}', content_type, LIMITS) == ImagePath("a.jpg")


def test_other_fields_beside_the_file_are_passed_over() -> None:
    body = multipart(("comment", b"hello"), ("file", IMAGE), ("more", b""))
    assert parse_body(body, "", LIMITS) == ImageBytes(IMAGE, "a.png")


def test_files_and_paths_may_be_several() -> None:
    body = multipart(("file", IMAGE), ("comment", b"hello"), ("file", b""))
    assert parse_body(body, "", LIMITS) == Several([ImageBytes(IMAGE, "a.png"), ImageBytes(b"", "a.png")])
    several = parse_body(b'{"image_paths": ["a.jpg", "b.jpg"]}', "", LIMITS)
    assert several == Several([ImagePath("a.jpg"), ImagePath("b.jpg")])
    assert parse_body(b'{"image_paths": ["a.jpg"]}', "", LIMITS) == Several([ImagePath("a.jpg")])


def test_a_file_may_hold_what_looks_like_a_delimiter() -> None:
    content = IMAGE + b"\r\n--xy\r\n--xyz"
    assert parse_body(multipart(("file", content), boundary="xyzzy"), "", LIMITS) == ImageBytes(content, "a.png")


@pytest.mark.parametrize(
    ("body", "content_type", "kind"),
    [
        (b"", "", Kind.EMPTY_BODY),
        (b"hello", "", Kind.NOT_AN_IMAGE),
        (b"hello", "image/png", Kind.NOT_AN_IMAGE),
        (b"--", "", Kind.NOT_AN_IMAGE),
        (b"--hello", "multipart/form-data", Kind.NOT_AN_IMAGE),
        (b"--\r\n", "", Kind.NOT_AN_IMAGE),
        (b"-- a dash and a line of text\n", "", Kind.NOT_AN_IMAGE),
        (b"hello", "application/json", Kind.MALFORMED_JSON),
        (b"[]", "application/json; charset=utf-8", Kind.MALFORMED_JSON),
        (b"{", "", Kind.MALFORMED_JSON),
        (b'{"image_path": "a.jpg"', "", Kind.MALFORMED_JSON),
        (b'{"image_path": "\xff"}', "", Kind.MALFORMED_JSON),
        (b'{"image_path": "\\ud800"}', "", Kind.MALFORMED_JSON),
        (b"{}", "", Kind.INVALID_INPUT),
        (b'{"image_path": 7}', "", Kind.INVALID_INPUT),
        (b'{"image_path": ""}', "", Kind.INVALID_INPUT),
        (b'{"image_path": "a.jpg", "more": 1}', "", Kind.INVALID_INPUT),
        (multipart(("file", IMAGE))[:-20], "", Kind.MALFORMED_MULTIPART),
        (b"--xyz\r\nnonsense\r\n\r\n", "", Kind.MALFORMED_MULTIPART),
        (multipart(), "", Kind.MALFORMED_MULTIPART),
        (multipart(("image", IMAGE)), "", Kind.INVALID_INPUT),
        (multipart(*[("file", IMAGE)] * 4), "", Kind.TOO_MANY_IMAGES),
        (b'{"image_paths": ["a", "b", "c", "d"]}', "", Kind.TOO_MANY_IMAGES),
        (b'{"image_paths": []}', "", Kind.INVALID_INPUT),
        (b'{"image_paths": ["a"], "image_path": "a"}', "", Kind.INVALID_INPUT),
        (b'{"image_path": "a"' + b" " * 2**20 + b"}", "", Kind.TOO_MANY_BYTES),
    ],
)
def test_a_body_that_is_none_of_them_has_its_problem(body: bytes, content_type: str, kind: Kind) -> None:
    with pytest.raises(ProblemError) as caught:
        parse_body(body, content_type, LIMITS)
    assert caught.value.kind is kind


@given(st.one_of(st.binary(max_size=200), st.binary(max_size=200).map(lambda tail: b"--xyz\r\n" + tail)))
def test_any_bytes_are_a_body_or_a_problem(body: bytes) -> None:
    with suppress(ProblemError):
        parse_body(body, "", LIMITS)
