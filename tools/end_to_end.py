"""Runs the tests that need containers: `compose` or `e2e`. Says in one line what they need and isn't there."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

from tools.cluster import E2E_NAME, Cluster
from tools.foreground import own_foreground
from tools.images import ROOT
from tools.terminal import console

WORKERS = os.environ.get("E2E_WORKERS", "3")
BESIDE_EACH_OTHER = ("-n", WORKERS)
OWN, ALONE = "tests/e2e/own_operator", "tests/e2e/alone"


@dataclass(frozen=True)
class Suite:
    """Tests, and the commands that they need. `stages`: pytest's arguments, a run each, one after the other."""

    title: str
    commands: tuple[str, ...]
    stages: tuple[tuple[str, ...], ...]

    @property
    def has_cluster(self) -> bool:
        """Whether its stages share a kind cluster."""
        return "kind" in self.commands


SUITES = {
    "compose": Suite("the tests of docker-compose.yml", ("docker", "docker compose"), (("tests/compose",),)),
    "e2e": Suite(
        "the end-to-end tests",
        ("docker", "kind", "kubectl", "helm"),
        (
            (*BESIDE_EACH_OTHER, "tests/e2e", "--ignore", OWN, "--ignore", ALONE),
            (*BESIDE_EACH_OTHER, OWN),
            (ALONE,),
        ),
    ),
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


def tell_missing(suite: Suite, missing: list[str], *, required: bool) -> None:
    """Say in one line what can't run, and why."""
    said = "Can't run" if required else "Left out"
    console.print(f"{said}: {suite.title}, which need {', '.join(missing)}.", soft_wrap=True)


def run_suite(suite: Suite) -> bool:
    """Run all stages, on one cluster; return whether all passed."""
    with one_cluster() if suite.has_cluster else nullcontext(os.environ) as environment:
        return all([run_pytest(stage, environment) for stage in suite.stages])


def run_pytest(arguments: tuple[str, ...], environment: Mapping[str, str], seconds: float | None = None) -> bool:
    """Run pytest to its end; return whether all passed. Raises TimeoutExpired where it takes longer."""
    command = [sys.executable, "-m", "pytest", "--durations=15", *arguments]
    with subprocess.Popen(command, cwd=ROOT, env=environment) as process:
        try:
            return process.wait(seconds) == 0
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
            raise
        # Ctrl-C: pytest has had it too, and is waited for while it puts away what it made.


@contextmanager
def one_cluster() -> Iterator[Mapping[str, str]]:
    """Yield an environment in which stages find the cluster of those before them; there is none before and after.

    With E2E_KEEP, what there is is used, and stays.
    """
    if os.environ.get("E2E_KEEP"):
        yield os.environ
        return
    cluster = Cluster(E2E_NAME)
    _remove(cluster)
    try:
        yield {**os.environ, "E2E_KEEP": "until the last stage"}
    finally:
        _remove(cluster)


def _remove(cluster: Cluster) -> None:
    if cluster.exists():
        cluster.delete()


def main(name: str) -> int:
    """Return the exit status: 1 where tests fail, or can't run."""
    suite = SUITES[name]
    if missing := find_missing(suite.commands):
        tell_missing(suite, missing, required=True)
        return 1
    with own_foreground():
        return 0 if run_suite(suite) else 1


if __name__ == "__main__":
    try:
        sys.exit(main(*sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
