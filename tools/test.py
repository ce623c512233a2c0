"""All the tests: what computes beside what waits. `make test`.

Two lanes run beside each other: style, units, servers on this machine and Compose in the one, images and the cluster
in the other. What needs Docker or kind is left out where they are missing, and said so, unless END_TO_END is
`required`.
"""

import os
import sys
import time

from tools.end_to_end import SUITES, find_missing, tell_missing
from tools.parts import Part, print_table, run_lanes

HERE = ("check", "unit", "integration")
CONTAINERS = {"compose": "compose-test", "e2e": "e2e"}


def main() -> int:
    """Return the exit status: 1 where a part failed, or can't run though it must."""
    started = time.monotonic()
    required = os.environ.get("END_TO_END") == "required"
    missing = {name: found for name in CONTAINERS if (found := find_missing(SUITES[name].commands))}
    for name, commands in missing.items():
        tell_missing(SUITES[name], commands, required=required)
    if missing and required:
        return 1
    first = [_make(name) for name in HERE]
    second = []
    if "compose" not in missing:
        first.append(_make("compose"))
    if len(missing) < len(CONTAINERS):
        second.append(_make("images"))
    if "e2e" not in missing:
        second.append(_make("e2e"))
    outcomes = run_lanes([first, second])
    print_table(outcomes, time.monotonic() - started)
    for name, commands in missing.items():
        tell_missing(SUITES[name], commands, required=required)
    return 0 if all(outcome.status == 0 for outcome in outcomes) else 1


def _make(name: str) -> Part:
    return Part(name, ("make", CONTAINERS.get(name, name)))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
