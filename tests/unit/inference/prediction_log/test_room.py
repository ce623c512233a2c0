"""How much of its disk a spool may take."""

from pathlib import Path

import pytest

from classifier_inference.log.spool.room import Disk, decide_budget, decide_limit, measure_disk


@pytest.mark.parametrize(
    ("asked", "size", "free", "used", "limit"),
    [
        (1000, 10_000, 9000, 0, 800),
        (1000, 10_000, 9000, 700, 800),
        (1000, 500, 500, 0, 400),
        (1000, 500, 100, 400, 400),
        (1000, 10_000, 500, 100, 400),
        (1000, 10_000, 200, 100, 100),
        (1000, 10_000, 0, 100, 100),
        (1000, 500, 0, 0, 0),
    ],
    ids=["alone", "filling", "on a smaller disk", "which it fills", "beside others", "who fill it", "full", "all full"],
)
def test_a_spool_leaves_a_fifth_of_what_it_asked_for_free(
    asked: int, size: int, free: int, used: int, limit: int
) -> None:
    assert decide_limit(asked, Disk(size, free), used) == limit
    assert decide_budget(asked, Disk(size, free)) == 0.8 * min(asked, size)


def test_a_disk_is_measured_in_bytes(tmp_path: Path) -> None:
    disk = measure_disk(tmp_path)
    assert 0 < disk.free < disk.size
    assert disk.size > 2**20
