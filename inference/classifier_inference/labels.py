"""Labels: from the object, or from a file with one a line, or with a JSON list."""

import re
from pathlib import Path

import orjson

from classifier_inference.report.start_error import StartError
from classifier_inference.report.termination import Reason
from classifier_inference.spec.classifier import ClassifierSpec

LIMIT_BYTES = 16 * 2**20

_LINE_END = re.compile(r"\r\n?|\n")
"""And no other: a label may hold what str.splitlines takes for one."""


def read_labels(spec: ClassifierSpec, path: Path | None) -> tuple[str, ...]:
    """Return the labels from the object or their file. Raises StartError where there are none or they are malformed."""
    if spec.model.labels.inline is not None:
        return tuple(spec.model.labels.inline)
    if path is None:
        raise StartError(
            Reason.LABELS_NOT_FOUND, "labels from a ConfigMap are read in a cluster only: give them inline or by uri"
        )
    return parse_labels(path.read_bytes())


def parse_labels(content: bytes) -> tuple[str, ...]:
    """Return the labels, the n-th for the n-th class. Raises StartError (LabelsInvalid) that says which line is wrong.

    Blank lines at the end don't count; one in between does, since it would shift every label after it.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _invalid("the labels are not UTF-8 text") from None
    if text.lstrip().startswith("["):
        return _parse_json(text)
    lines = [line.strip() for line in _LINE_END.split(text.rstrip())]
    if lines == [""]:
        raise _invalid("the labels' file is empty")
    for number, line in enumerate(lines, 1):
        if not line:
            raise _invalid(f"line {number} of the labels is blank; it would shift the labels after it")
    return tuple(lines)


def _parse_json(text: str) -> tuple[str, ...]:
    try:
        labels = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise _invalid(f"the labels start like a JSON list and are none: {error}") from None
    if not labels or not all(isinstance(label, str) and label.strip() for label in labels):
        raise _invalid("the labels' JSON list must hold strings, none of them blank")
    return tuple(labels)


def _invalid(message: str) -> StartError:
    return StartError(Reason.LABELS_INVALID, message)
