"""What a test measured is kept, whether it passes or not."""

from collections.abc import Generator
from datetime import UTC, datetime

import pytest

from tools.figures import Row, merge_rows, read_rows, write_rows

FIGURES = pytest.StashKey[dict[str, str]]()


@pytest.fixture
def figures(request: pytest.FixtureRequest) -> dict[str, str]:
    """What a test measures, by what it is: it puts them in."""
    measured: dict[str, str] = {}
    request.node.stash[FIGURES] = measured
    return measured


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if call.when == "call" or report.failed:
        part = item.path.stem.removeprefix("test_")
        what = item.name.removeprefix("test_").replace("_", " ")
        today = datetime.now(UTC).date().isoformat()
        row = Row(part, what, today, report.passed, item.stash.get(FIGURES, {}))
        write_rows(merge_rows(read_rows(), [row]))
    return report
