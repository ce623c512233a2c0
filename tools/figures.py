"""The figures that `make faults` measured: kept in a file, part by part, and shown on a page."""

import json
from dataclasses import asdict, dataclass, field

from rich.markup import escape
from rich.table import Table

from tools.images import ROOT

FILE = ROOT / "tests" / "faults" / "figures.json"
PAGE = ROOT / "docs" / "faults.md"
HEADER = """# What it stands

`make faults` does to it what a release should have stood, and keeps what it measured. `make faults PART=outage` runs
one part and leaves the others' figures as they are. Each part ends within an hour. This page is generated from
`tests/faults/figures.json`.

| part | what is shown | figures | when | |
|---|---|---|---|---|
"""


@dataclass(frozen=True)
class Row:
    """What one test of a part showed. `figures`: by what they are, with their units."""

    part: str
    what: str
    when: str
    passed: bool
    figures: dict[str, str] = field(default_factory=dict)


def read_rows() -> list[Row]:
    """Return the rows of the file; none where there is no file."""
    return [Row(**each) for each in json.loads(FILE.read_text())] if FILE.exists() else []


def merge_rows(kept: list[Row], measured: list[Row]) -> list[Row]:
    """Return both, in order; what was measured replaces what was kept of the same test."""
    rows = {(row.part, row.what): row for row in [*kept, *measured]}
    return [rows[key] for key in sorted(rows)]


def write_rows(rows: list[Row]) -> None:
    """Write the file and the page."""
    FILE.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n")
    PAGE.write_text(render_page(rows))


def render_page(rows: list[Row]) -> str:
    """Return the page's Markdown."""
    return HEADER + "".join(
        f"| {row.part} | {row.what} | {_join(row.figures)} | {row.when} | {_verdict(row)} |\n" for row in rows
    )


def build_table(rows: list[Row]) -> Table:
    """Return the table that is printed at the end."""
    table = Table("part", "what is shown", "figures", "", box=None)
    for row in rows:
        table.add_row(row.part, escape(row.what), escape(_join(row.figures)), _verdict(row))
    return table


def _join(figures: dict[str, str]) -> str:
    return "; ".join(f"{name}: {value}" for name, value in figures.items())


def _verdict(row: Row) -> str:
    return "passed" if row.passed else "FAILED"
