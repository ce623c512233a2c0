"""Good and bad requests together leave nothing behind; `make faults PART=soak` sends them for longer."""

from pathlib import Path

import psutil

from tests.faults.soak import find_written, serve, soak
from tests.integration.prediction_log.stores import wait_until

SECONDS = 10
RATE = 120
"""Requests a second, half of them good; a busy machine sends fewer."""
LEFT = 3
"""Descriptors that may be open afterwards and weren't before."""
GROWN_MIB = 128
"""What resident memory may grow by, of the 256 MiB that requests have."""


def test_good_and_bad_load_leaks_no_descriptor(tmp_path: Path) -> None:
    with serve(tmp_path) as server:
        seen = soak(server, SECONDS, RATE)
        process = psutil.Process(server.process.pid)
        wait_until(lambda: process.num_fds() <= seen.descriptors[0] + LEFT, "descriptors to be closed")
    good, bad = seen.statuses["good"], seen.statuses["bad"]
    assert good[200] > 10
    assert bad.total() > 10
    assert {status for status in good | bad if not 200 <= status < 500} == set()
    assert max(size for _, size in seen.resident) - seen.resident[0][1] < GROWN_MIB
    assert find_written(seen, tmp_path) == []
