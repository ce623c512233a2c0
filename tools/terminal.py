"""How the tools speak: steps with their durations, and external commands that fail with their own words."""

import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from rich.console import Console

console = Console(highlight=False)


class CommandError(Exception):
    """An external command failed; the message is the command and what it said."""


@contextmanager
def step(title: str) -> Iterator[None]:
    """Show what is being done, then how long it took."""
    started = time.monotonic()
    with console.status(title):
        yield
    console.print(f"[green]✓[/green] {title} [dim]({time.monotonic() - started:.1f} s)[/dim]")


def run(
    *command: str, stdin: str | None = None, env: Mapping[str, str] | None = None, timeout: float | None = None
) -> str:
    """Run a command to its end and return its standard output. Raises CommandError if it fails or isn't there."""
    try:
        done = subprocess.run(
            command, input=stdin, env=env, timeout=timeout, text=True, capture_output=True, check=False
        )
    except FileNotFoundError as error:
        raise CommandError(f"{command[0]} is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise CommandError(f"{' '.join(command)}: not done after {timeout:.0f} s") from error
    if done.returncode != 0:
        raise CommandError(f"{' '.join(command)}:\n{_ending(done.stdout)}{_ending(done.stderr)}".rstrip())
    return done.stdout


def _ending(text: str) -> str:
    return "".join(f"{line}\n" for line in text.splitlines()[-25:])
