"""The tests that containers need, on a machine without what they need."""

import subprocess
import sys
from pathlib import Path

from tools.images import ROOT

COMPOSE = "the tests of docker-compose.yml, which need docker, docker compose.\n"
CLUSTER = "the end-to-end tests, which need docker, kind, kubectl, helm.\n"


def test_fails_where_tests_that_were_named_can_not_run(tmp_path: Path) -> None:
    for name, told in (("compose", COMPOSE), ("e2e", CLUSTER)):
        done = subprocess.run(
            [sys.executable, "-m", "tools.end_to_end", name],
            cwd=ROOT, env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert (done.returncode, done.stdout) == (1, f"Can't run: {told}")
