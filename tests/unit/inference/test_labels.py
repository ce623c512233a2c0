"""Labels as people write them."""

from pathlib import Path

import pytest

from classifier_inference.files.labels import read_label_file
from classifier_inference.report.start_error import StartError
from classifier_inference.report.termination import Reason
from classifier_inference.spec.label_text import parse_labels


@pytest.mark.parametrize(
    "content",
    [
        b"cat\ndog",
        b"cat\ndog\n\n\n",
        b"cat\r\ndog\r\n",
        b" cat \n dog \n",
        b"\xef\xbb\xbfcat\ndog\n",
        b'["cat", "dog"]',
        b'\n ["cat",\n "dog"]\n',
    ],
)
def test_lines_and_json_lists_are_labels(content: bytes) -> None:
    assert parse_labels(content) == ("cat", "dog")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"\n \n", "empty"),
        (b"cat\n\ndog", "line 2 of the labels is blank"),
        (b"\xff\xfe", "not UTF-8"),
        (b'["cat"', "JSON list"),
        (b"[]", "strings"),
        (b"[1, 2]", "strings"),
        (b'["cat", " "]', "blank"),
        (b'["cat\\ud800"]', "JSON list and are none: no low surrogate"),
        (b"[" * 100_000, "JSON list and are none: depth limit"),
    ],
)
def test_malformed_labels_are_refused_with_the_reason(content: bytes, message: str, tmp_path: Path) -> None:
    file = tmp_path / "labels"
    file.write_bytes(content)
    with pytest.raises(StartError, match=message) as caught:
        read_label_file(file)
    assert caught.value.failure.reason is Reason.LABELS_INVALID


def test_what_ends_no_line_in_a_file_may_be_in_a_label() -> None:
    assert parse_labels("a\x85b\nc\u2028d\re\x0cf\n".encode()) == ("a\x85b", "c\u2028d", "e\x0cf")
