"""Which tests go to a worker together, and in which order: the longest first, by times that were measured.

`E2E_WRITE_TIMES=1 make e2e` measures anew. What has no time yet goes first.
"""

import json
from pathlib import Path

import pytest
from xdist.scheduler import LoadScopeScheduling

TIMES = Path(__file__).with_name("times.json")
ONE_BY_ONE = {"test_deletion", "test_managed_sinks", "test_model_stores", "test_rollout", "test_serving"}
"""Modules whose tests share nothing, and may go to different workers. Of any other module all go to one."""
ALONE = ("test_deletion_without_operator", "test_releases", "test_crd")
"""What takes the operator, and then the CRD, away from those after it: in this order."""


class ByGroups(LoadScopeScheduling):  # type: ignore[misc]
    """Gives a worker a group at a time, in the order of the collection."""

    def _split_scope(self, nodeid: str) -> str:
        return find_group(nodeid)


def arrange(items: list[pytest.Item]) -> None:
    """Sort the groups by their folders, then by their times; the tests of a group keep their order."""
    times: dict[str, int] = json.loads(TIMES.read_text())

    def place(item: pytest.Item) -> tuple[int, int, str]:
        group, folder = find_group(item.nodeid), item.path.parent.name
        if folder == "alone":
            return 2, ALONE.index(item.path.stem), group
        return int(folder == "own_operator"), -times.get(group, 10_000), group

    items.sort(key=place)


def find_group(nodeid: str) -> str:
    """Return the name of the tests that go together: a module's, or a test's own."""
    path, _, test = nodeid.partition("::")
    module = Path(path).stem
    return f"{module}::{test}" if module in ONE_BY_ONE else module


class Stopwatch:
    """Adds up what each group takes, and writes it down."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def add(self, report: pytest.TestReport) -> None:
        group = find_group(report.nodeid)
        self.seconds[group] = self.seconds.get(group, 0) + report.duration

    def write(self) -> None:
        """Merge the times, in whole seconds, into the file."""
        times = json.loads(TIMES.read_text()) | {group: round(seconds) for group, seconds in self.seconds.items()}
        TIMES.write_text(json.dumps(dict(sorted(times.items(), key=lambda each: (-each[1], each[0]))), indent=2) + "\n")
