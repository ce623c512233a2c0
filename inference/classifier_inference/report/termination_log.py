"""Leaves a note where the kubelet looks for it, and on stderr, where a person does."""

import sys
from pathlib import Path

from classifier_inference.report.termination import Failure, Note, render_termination

DEFAULT_TERMINATION_LOG = Path("/dev/termination-log")


def write_termination(note: Note, path: Path) -> None:
    """Write the note to the termination log; a failure goes to stderr too.

    Outside a pod there is no such file, and none is made: the kubelet makes it before the container starts.
    """
    if isinstance(note, Failure):
        sys.stderr.write(f"{note.reason}: {note.message}\n")
    try:
        with path.open("r+") as log:
            log.truncate()
            log.write(render_termination(note))
    except OSError:
        return
