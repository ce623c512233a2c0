"""A record's line."""

import json
import uuid

import pytest

from classifier_inference.prediction_log.record import parse_record, read_milliseconds
from tests.unit.inference.prediction_log.records import make_line, make_record, new_id


def test_a_record_reads_back_from_its_line() -> None:
    request_id = new_id()
    line = make_line(request_id)
    assert line.endswith(b"}\n")
    assert line.count(b"\n") == 1
    assert parse_record(line) == make_record(request_id)
    assert json.loads(line)["image_ref"] is None


def test_a_line_torn_anywhere_is_no_record() -> None:
    line = make_line(new_id())
    assert [end for end in range(len(line) - 1) if parse_record(line[:end]) is not None] == []


@pytest.mark.parametrize("line", [b"", b"\n", b"{}\n", b"null\n", b"\xff\n"])
def test_what_is_no_record_is_none(line: bytes) -> None:
    assert parse_record(line) is None


def test_a_request_id_holds_its_time() -> None:
    assert read_milliseconds(uuid.UUID("017f22e2-79b0-7cc3-98c4-dc0c0c07398f")) == 0x017F22E279B0
