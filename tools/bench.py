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
BEYOND_OF_PYTEST, BEYOND = 1, 3
"""Exit statuses where a bound was not kept: pytest's, and the comparison's."""
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
    return 0 if all(outcome.status == 0 or _is_beyond(outcome) for outcome in outcomes) else 1


def _judge(outcome: Outcome) -> str:
    if outcome.status == 0:
        return "within its bounds"
    return "beyond a bound" if _is_beyond(outcome) else "NOT MEASURED"


def _is_beyond(outcome: Outcome) -> bool:
    return outcome.status == (BEYOND_OF_PYTEST if "pytest" in outcome.part.command else BEYOND)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
