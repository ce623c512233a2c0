"""`make test` on a machine without what containers and a cluster need."""

import subprocess
import sys
from pathlib import Path

from tools.images import ROOT

COMPOSE = "the tests of docker-compose.yml, which need docker, docker compose.\n"
CLUSTER = "the end-to-end tests, which need docker, kind, kubectl, helm.\n"


def run_without_programs(tmp_path: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tools.end_to_end", *arguments],
        cwd=ROOT, env={"PATH": str(tmp_path), **environment}, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_says_in_one_line_each_what_is_left_out(tmp_path: Path) -> None:
    done = run_without_programs(tmp_path)
    assert (done.returncode, done.stdout) == (0, f"Left out: {COMPOSE}Left out: {CLUSTER}")


def test_fails_where_nothing_may_be_left_out(tmp_path: Path) -> None:
    done = run_without_programs(tmp_path, END_TO_END="required")
    assert (done.returncode, done.stdout) == (1, f"Can't run: {COMPOSE}Can't run: {CLUSTER}")


def test_fails_where_tests_that_were_named_can_not_run(tmp_path: Path) -> None:
    for name, told in (("compose", COMPOSE), ("e2e", CLUSTER)):
        done = run_without_programs(tmp_path, name)
        assert (done.returncode, done.stdout) == (1, f"Can't run: {told}")
