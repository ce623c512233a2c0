"""Runs the tests that need containers, each suite where what it needs is at hand; says in one line what is left out.

A suite that is named must run; where the environment's END_TO_END is `required`, every one must.
"""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass

from tools.images import ROOT
from tools.terminal import console


@dataclass(frozen=True)
class Suite:
    """Tests in a folder, and the commands that they need."""

    title: str
    folder: str
    commands: tuple[str, ...]


SUITES = {
    "compose": Suite("the tests of docker-compose.yml", "tests/compose", ("docker", "docker compose")),
    "e2e": Suite("the end-to-end tests", "tests/e2e", ("docker", "kind", "kubectl", "helm")),
}


def find_missing(commands: tuple[str, ...]) -> list[str]:
    """Return what is not at hand here of the commands, and of Docker's Engine."""
    missing = [command for command in commands if not _is_there(*command.split())]
    if "docker" not in missing and not _succeeds("docker", "info"):
        missing.append("a running Docker Engine")
    return missing


def _is_there(program: str, *plugin: str) -> bool:
    return shutil.which(program) is not None and (not plugin or _succeeds(program, *plugin, "version"))


def _succeeds(*command: str) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def run_suite(suite: Suite, *, required: bool) -> bool:
    """Run the tests where they can run; return whether all is well."""
    missing = find_missing(suite.commands)
    if not missing:
        return subprocess.run([sys.executable, "-m", "pytest", suite.folder], cwd=ROOT, check=False).returncode == 0
    said = "Can't run" if required else "Left out"
    console.print(f"{said}: {suite.title}, which need {', '.join(missing)}.", soft_wrap=True)
    return not required


def main(names: list[str]) -> int:
    """Return the exit status: 1 where tests fail, or where tests that must run can't."""
    required = bool(names) or os.environ.get("END_TO_END") == "required"
    results = [run_suite(SUITES[name], required=required) for name in names or SUITES]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
