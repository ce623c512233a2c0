"""What is too long for every change: `make faults`, or one of its parts, `make faults PART=outage`."""

import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path

from tools.end_to_end import SUITES, find_missing, one_cluster, run_pytest, tell_missing
from tools.figures import build_table, read_rows
from tools.foreground import own_foreground
from tools.images import ROOT
from tools.terminal import console

FOLDER = ROOT / "tests" / "faults"
PART_SECONDS = 3600.0


def find_parts() -> dict[str, Path]:
    """Return the tests of each part, by its name."""
    return {path.stem.removeprefix("test_"): path for path in sorted(FOLDER.rglob("test_*.py"))}


def needs_cluster(path: Path) -> bool:
    """Say whether a part's tests run on a kind cluster."""
    return path.parent.name == "cluster"


def run_part(name: str, path: Path, environment: Mapping[str, str]) -> bool:
    """Run a part; return whether it passed, within its hour."""
    console.rule(name, align="left")
    try:
        return run_pytest(("-s", str(path)), environment, PART_SECONDS)
    except subprocess.TimeoutExpired:
        console.print(f"{name}: ended after {PART_SECONDS / 60:.0f} minutes")
        return False


def main(names: list[str]) -> int:
    """Return the exit status: 1 where a part failed, or can't run."""
    parts = find_parts()
    chosen = names or list(parts)
    if unknown := set(chosen) - set(parts):
        console.print(f"No part {', '.join(sorted(unknown))}. There are {', '.join(parts)}.")
        return 1
    has_cluster = any(needs_cluster(parts[name]) for name in chosen)
    if has_cluster and (missing := find_missing(SUITES["e2e"].commands)):
        tell_missing(SUITES["e2e"], missing, required=True)
        return 1
    with own_foreground(), one_cluster() if has_cluster else nullcontext(os.environ) as environment:
        results = {name: run_part(name, parts[name], environment) for name in chosen}
    console.print(build_table([row for row in read_rows() if row.part in chosen]))
    failed = [name for name, passed in results.items() if not passed]
    console.print(f"Failed: {', '.join(failed)}" if failed else "All parts passed.")
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
