"""The operator's image holds what the extra `operator` names, and no package of the server's."""

import re
import subprocess
import sys
from importlib import metadata

PACKAGE = "imageclassifier"
MARKED = re.compile(r"""extra == ["']operator["']""")
NAME = re.compile(r"[\w.-]+")
IMPORT = "import sys; sys.modules.update(dict.fromkeys(sys.argv[1:])); import classifier_operator.handlers"
"""With nothing to be imported of the names that are given."""


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def find_installed_with_operator() -> set[str]:
    """The distributions that `pip install imageclassifier[operator]` brings, all that they may want included."""
    found: set[str] = set()
    wanted = [line for line in metadata.requires(PACKAGE) or [] if "extra ==" not in line or MARKED.search(line)]
    while wanted:
        name = normal(NAME.match(wanted.pop())[0])  # type: ignore[index]
        if name in found:
            continue
        found.add(name)
        try:
            wanted += [line for line in metadata.requires(name) or [] if "extra ==" not in line]
        except metadata.PackageNotFoundError:
            continue
    return found


def test_it_starts_without_what_only_the_server_wants() -> None:
    there = find_installed_with_operator() | {PACKAGE}
    missing = [
        module
        for module, distributions in metadata.packages_distributions().items()
        if not {normal(name) for name in distributions} & there
    ]
    assert "numpy" in missing
    command = [sys.executable, "-c", IMPORT, *missing]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
