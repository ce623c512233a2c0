"""Runs the end-to-end tests where a kind cluster can be made, and says in one line what else is left out.

They must run with --required, or where the environment's END_TO_END is `required`.
"""

import os
import shutil
import subprocess
import sys

from tools.images import ROOT
from tools.terminal import console

PROGRAMS = ("docker", "kind", "kubectl", "helm")


def find_missing() -> list[str]:
    """Return what is not at hand here of what the end-to-end tests need."""
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if "docker" not in missing:
        asked = subprocess.run(["docker", "info"], capture_output=True, check=False)
        missing += ["a running Docker Engine"] if asked.returncode != 0 else []
    return missing


def main() -> int:
    """Return the exit status: that of pytest, or 1 where tests that must run can't."""
    missing = find_missing()
    if not missing:
        return subprocess.run([sys.executable, "-m", "pytest", "tests/e2e"], cwd=ROOT, check=False).returncode
    required = "--required" in sys.argv[1:] or os.environ.get("END_TO_END") == "required"
    said = "Can't run" if required else "Left out"
    console.print(f"{said}: the end-to-end tests, which need {', '.join(missing)}.", soft_wrap=True)
    return 1 if required else 0


if __name__ == "__main__":
    sys.exit(main())
