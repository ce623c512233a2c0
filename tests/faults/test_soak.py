"""A quarter of an hour of good and bad requests together."""

from pathlib import Path

import psutil

from tests.faults.soak import find_written, serve, soak
from tests.integration.prediction_log.stores import wait_until

SECONDS = 900
RATE = 120
LEFT = 3
"""Descriptors that may be open afterwards and weren't before."""
SLOPE_MIB = 64
"""What resident memory may seem to grow by in an hour, after the first half."""


def test_a_quarter_of_an_hour_of_good_and_bad_requests_leaves_nothing_behind(
    tmp_path: Path, figures: dict[str, str]
) -> None:
    with serve(tmp_path) as server:
        seen = soak(server, SECONDS, RATE)
        process = psutil.Process(server.process.pid)
        wait_until(lambda: process.num_fds() <= seen.descriptors[0] + LEFT, "descriptors to be closed", 120)
        left = process.num_fds()
    sizes = [size for _, size in seen.resident]
    figures["requests"] = str(sum(counts.total() for counts in seen.statuses.values()))
    figures["resident"] = f"{sizes[0]:.0f} MiB at first, {max(sizes):.0f} at most, {sizes[-1]:.0f} at the end"
    figures["slope after the first half"] = f"{seen.slope(SECONDS / 2):+.1f} MiB an hour"
    figures["descriptors"] = f"{seen.descriptors[0]} before, {max(seen.descriptors)} at most, {left} after"
    answered = seen.statuses["good"] | seen.statuses["bad"]
    assert {status for status in answered if not 200 <= status < 500} == set()
    assert seen.slope(SECONDS / 2) < SLOPE_MIB
    assert find_written(seen, tmp_path) == []
