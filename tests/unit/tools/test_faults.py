"""`make faults`: its parts, and the figures that are kept of them."""

import subprocess
import sys

from tools.faults import find_parts
from tools.figures import Row, merge_rows, render_page
from tools.images import ROOT

OLD = Row("outage", "loses nothing", "2026-01-01", True, {"failed": "300"})


def test_what_is_measured_anew_replaces_what_was_kept_of_the_same_test_alone() -> None:
    new = Row("outage", "loses nothing", "2026-02-01", False, {"failed": "400"})
    other = Row("kills", "leave nothing", "2026-01-01", True)
    assert merge_rows([OLD, other], [new]) == [other, new]


def test_the_page_shows_a_row_a_line() -> None:
    lines = render_page([OLD]).splitlines()
    assert lines[-1] == "| outage | loses nothing | failed: 300 | 2026-01-01 | passed |"


def test_a_part_that_is_not_there_is_refused_with_those_that_are() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tools.faults", "odd"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert " ".join(done.stdout.split()) == f"No part odd. There are {', '.join(find_parts())}."


def test_every_part_has_a_name_of_its_own() -> None:
    assert len(find_parts()) == len(list((ROOT / "tests" / "faults").rglob("test_*.py")))
