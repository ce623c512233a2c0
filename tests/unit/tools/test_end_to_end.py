"""`make test` on a machine without what a cluster needs."""

import subprocess
import sys
from pathlib import Path

from tools.images import ROOT


def run_without_programs(tmp_path: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tools.end_to_end", *arguments],
        cwd=ROOT, env={"PATH": str(tmp_path), **environment}, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_says_in_one_line_what_is_left_out(tmp_path: Path) -> None:
    done = run_without_programs(tmp_path)
    assert done.returncode == 0
    assert done.stdout == "Left out: the end-to-end tests, which need docker, kind, kubectl, helm.\n"


def test_fails_where_nothing_may_be_left_out(tmp_path: Path) -> None:
    for done in (
        run_without_programs(tmp_path, END_TO_END="required"),
        run_without_programs(tmp_path, "--required"),
    ):
        assert done.returncode == 1
        assert done.stdout.startswith("Can't run: the end-to-end tests")
