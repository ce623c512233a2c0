"""`make kind-down`: removes the cluster that `make kind` made."""

import sys

from tools.kind_up import CLUSTER
from tools.terminal import CommandError, console, step


def main() -> int:
    """Return the exit status."""
    try:
        if not CLUSTER.exists():
            console.print(f"There is no cluster {CLUSTER.name}.")
            return 0
        with step(f"Removing the cluster {CLUSTER.name}"):
            CLUSTER.delete()
    except CommandError as error:
        console.print(str(error), style="red", markup=False)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
