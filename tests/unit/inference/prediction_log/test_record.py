"""A record's line."""

import json
import uuid
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from classifier_inference.log.record import parse_record, read_milliseconds, render_record
from classifier_inference.log.runs.parquet import write_parquet
from classifier_inference.log.runs.summary import TAG_CLIENT_REQUEST, render_request_tags
from tests.unit.inference.prediction_log.records import make_line, make_record, new_id


def test_a_record_reads_back_from_its_line() -> None:
    request_id = new_id()
    line = make_line(request_id)
    assert line.endswith(b"}\n")
    assert line.count(b"\n") == 1
    assert parse_record(line) == make_record(request_id)
    assert json.loads(line)["image_ref"] is None


def test_a_line_of_before_clients_had_ids_of_their_own_is_a_record() -> None:
    request_id = new_id()
    line = json.loads(make_line(request_id))
    assert line.pop("client_request_id") is None
    assert parse_record(json.dumps(line).encode()) == make_record(request_id)


@pytest.mark.parametrize("own", [None, "order-17"])
def test_a_client_s_own_id_is_in_the_table_and_among_a_prediction_s_tags(tmp_path: Path, own: str | None) -> None:
    record = replace(make_record(new_id()), client_request_id=own)
    write_parquet(tmp_path / "table", [record], "s3://bucket/images.tar")
    assert pq.read_table(tmp_path / "table").column("client_request_id").to_pylist() == [own]
    assert render_request_tags(record.request_id, record.client_request_id).get(TAG_CLIENT_REQUEST) == own


def test_a_prediction_of_no_label_is_a_row_without_one(tmp_path: Path) -> None:
    record = replace(make_record(new_id()), predictions=[])
    assert parse_record(render_record(record)) == record
    write_parquet(tmp_path / "table", [record], "s3://bucket/images.tar")
    (row,) = pq.read_table(tmp_path / "table").to_pylist()
    assert (row["predictions"], row["label"], row["class_id"], row["confidence"]) == ([], None, None, None)


def test_a_line_torn_anywhere_is_no_record() -> None:
    line = make_line(new_id())
    assert [end for end in range(len(line) - 1) if parse_record(line[:end]) is not None] == []


@pytest.mark.parametrize("line", [b"", b"\n", b"{}\n", b"null\n", b"\xff\n"])
def test_what_is_no_record_is_none(line: bytes) -> None:
    assert parse_record(line) is None


def test_a_request_id_holds_its_time() -> None:
    assert read_milliseconds(uuid.UUID("017f22e2-79b0-7cc3-98c4-dc0c0c07398f")) == 0x017F22E279B0
