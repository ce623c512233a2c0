"""What a process does without: modules that libraries would import because they are there."""

import sys
from types import ModuleType


def leave_out(*modules: str) -> None:
    """Have imports of modules fail in this process; to be called before anything imports them."""
    hidden: dict[str, ModuleType | None] = dict.fromkeys(modules)
    sys.modules.update(hidden)  # type: ignore[arg-type]
