"""`make test`: what runs, what is left out, what is said of it."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.tools.test_end_to_end import CLUSTER, COMPOSE
from tools.images import ROOT

MAKE = '#!/bin/sh\necho "made $1"\ntest "$1" != "$FAILING"\n'
DOCKER = "#!/bin/sh\nexit 0\n"


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder with a `make` that says what it is to make, and does nothing."""
    write_program(tmp_path / "make", MAKE)
    return tmp_path


def write_program(path: Path, script: str) -> None:
    path.write_text(script)
    path.chmod(0o755)


def run_all(programs: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tools.test"],
        cwd=ROOT, env={"PATH": str(programs), **environment}, capture_output=True, text=True, check=False,
    )  # fmt: skip


def made(done: subprocess.CompletedProcess[str]) -> set[str]:
    return {line.removeprefix("made ") for line in done.stdout.splitlines() if line.startswith("made ")}


def test_says_in_one_line_each_what_is_left_out_first_and_last(programs: Path) -> None:
    done = run_all(programs)
    assert done.returncode == 0, done.stdout + done.stderr
    left_out = f"Left out: {COMPOSE}Left out: {CLUSTER}"
    assert done.stdout.startswith(left_out)
    assert done.stdout.endswith(left_out)
    assert made(done) == {"check", "unit", "integration"}


def test_fails_where_nothing_may_be_left_out(programs: Path) -> None:
    done = run_all(programs, END_TO_END="required")
    assert (done.returncode, done.stdout) == (1, f"Can't run: {COMPOSE}Can't run: {CLUSTER}")


def test_runs_all_where_all_is_at_hand(programs: Path) -> None:
    for name in ("docker", "kind", "kubectl", "helm"):
        write_program(programs / name, DOCKER)
    done = run_all(programs, END_TO_END="required")
    assert done.returncode == 0, done.stdout + done.stderr
    assert made(done) == {"check", "unit", "integration", "compose-test", "images", "e2e"}


def test_fails_by_one_part_that_fails_and_runs_the_others(programs: Path) -> None:
    done = run_all(programs, FAILING="unit")
    assert done.returncode == 1
    assert made(done) == {"check", "unit", "integration"}
    assert [line.split()[:2] for line in done.stdout.splitlines() if "FAILED" in line] == [["unit", "FAILED"]]
