"""Counting drops in a file that a kill leaves whole."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from classifier_inference.log.spool.counters import Counters, Counts, read_counts
from tests.unit.inference.prediction_log.records import new_id

COUNT_FOR_EVER = """
import sys
from pathlib import Path
from uuid import uuid4
from classifier_inference.log.spool.counters import Counters

counters = Counters(Path(sys.argv[1]))
print("ready", flush=True)
while True:
    found = uuid4()
    counters.doubt(found)
    counters.settle(frozenset({found}), records=1, images=1)
"""


def test_nothing_is_counted_where_there_is_no_file(tmp_path: Path) -> None:
    assert read_counts(tmp_path / "counters") == Counts()


def test_what_was_counted_is_read_by_others_and_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "counters"
    doubted = [new_id(), new_id()]
    counters = Counters(path)
    counters.add(records=2, images=3)
    for found in doubted:
        counters.doubt(found)
    counters.settle(frozenset(doubted[:1]), records=1)
    wanted = Counts(3, 3, frozenset(doubted[1:]))
    assert counters.counts == read_counts(path) == wanted
    counters.close()
    again = Counters(path)
    assert again.counts == wanted
    again.add(records=1)
    assert read_counts(path).records == 4
    again.close()


def test_a_kill_leaves_a_whole_count(tmp_path: Path) -> None:
    path = tmp_path / "counters"
    seen = 0
    for _ in range(5):
        with subprocess.Popen([sys.executable, "-c", COUNT_FOR_EVER, path], stdout=subprocess.PIPE) as counting:
            assert counting.stdout is not None
            counting.stdout.readline()
            while read_counts(path).records < seen + 100:
                os.sched_yield()
            counting.send_signal(signal.SIGKILL)
        found = read_counts(path)
        assert found.records == found.images
        assert len(found.in_doubt) <= 1
        seen = found.records
        settle(path)


def settle(path: Path) -> None:
    counters = Counters(path)
    counters.settle(counters.counts.in_doubt, records=0)
    counters.close()
