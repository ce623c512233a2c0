"""Where a prediction is that was not shipped yet, while servers write and seal."""

from pathlib import Path

import pytest

from classifier_inference.log.runs.lookup import Waiting, find_in_spool
from classifier_inference.log.spool.windows import Window, list_sealed
from tests.unit.inference.prediction_log.records import make_record, new_id
from tests.unit.inference.prediction_log.test_spool import CLOSE_SECONDS, Disk, log, open_spool, until


async def test_what_the_disk_has_not_taken_yet_waits_all_the_same(tmp_path: Path) -> None:
    disk = Disk()
    disk.free.clear()
    spool = open_spool(tmp_path, write=disk.write)
    ticket = log(spool)
    await spool.confirm(ticket)
    assert find_in_spool(tmp_path, ticket.request_id) == Waiting(None)
    assert find_in_spool(tmp_path, new_id()) is None
    disk.free.set()
    until(lambda: ticket.done)
    assert find_in_spool(tmp_path, ticket.request_id) == Waiting(make_record(ticket.request_id))
    assert spool.close(CLOSE_SECONDS)


def test_what_is_sealed_while_it_is_looked_for_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = open_spool(tmp_path)
    ticket = log(spool)
    until(lambda: ticket.done)
    listed: list[list[Window]] = []

    def seal_once_listed(folder: Path) -> list[Window]:
        listed.append(list_sealed(folder))
        if len(listed) == 1:
            assert spool.close(CLOSE_SECONDS)
        return listed[-1]

    monkeypatch.setattr("classifier_inference.log.runs.lookup.list_sealed", seal_once_listed)
    assert find_in_spool(tmp_path, ticket.request_id) == Waiting(make_record(ticket.request_id))
    assert list(map(len, listed)) == [0, 1]
