"""How fast it is, in ten minutes: `make bench`. Each benchmark sets what it measures beside something in the same run.

A figure beyond its bound is shown, and is no failure: the machine may be slow, or do other things.
"""

import os
import sys
import time

from rich.table import Table

from tools.parts import Outcome, Part, run_lanes
from tools.terminal import console

PYTEST = (sys.executable, "-m", "pytest", "-q", "-s", "-p", "no:cacheprovider")
LOAD_SECONDS = "20"
FAILED_TESTS = 1
"""pytest's exit status where all ran, and a bound was not kept."""
BENCHMARKS = (
    Part("resizing, beside Pillow", (*PYTEST, "tests/benchmarks/resize")),
    Part(
        "serving, beside the pipeline with no HTTP, LitServe and FastAPI",
        (sys.executable, "-m", "tests.benchmarks.serving.compare", "--rounds", "2", "--seconds", "3",
         "--models", "large"),
    ),
    Part(
        "twice what it gives, and the probe beside predictions",
        (*PYTEST, "tests/benchmarks/serving/test_overload.py", "-k", "twice or probe"),
    ),
    Part("the recorder, at 200 predictions a second", (*PYTEST, "tests/benchmarks/prediction_log/test_keeps_up.py")),
)  # fmt: skip


def main() -> int:
    """Return the exit status: 1 where something could not be measured."""
    started = time.monotonic()
    outcomes = run_lanes([BENCHMARKS], {**os.environ, "LOAD_SECONDS": LOAD_SECONDS})
    table = Table("benchmark", "", "minutes", box=None)
    for outcome in outcomes:
        table.add_row(outcome.part.title, _judge(outcome), f"{outcome.seconds / 60:.1f}")
    table.add_row("all", "", f"{(time.monotonic() - started) / 60:.1f}")
    console.print(table)
    return 0 if all(outcome.status in {0, FAILED_TESTS} for outcome in outcomes) else 1


def _judge(outcome: Outcome) -> str:
    if outcome.status == 0:
        return "within its bounds"
    return "beyond a bound" if outcome.status == FAILED_TESTS else "NOT MEASURED"


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
