"""The text that labels come as: one a line, or a JSON list. No I/O."""

import re

import orjson

_LINE_END = re.compile(r"\r\n?|\n")
"""And no other: a label may hold what str.splitlines takes for one."""


class LabelsError(ValueError):
    """The text holds no labels; the message says where it goes wrong."""


def parse_labels(content: bytes) -> tuple[str, ...]:
    """Return the labels, the n-th for the n-th class. Raises LabelsError that says which line is wrong.

    Blank lines at the end don't count; one in between does, since it would shift every label after it.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise LabelsError("the labels are not UTF-8 text") from None
    if text.lstrip().startswith("["):
        return _parse_json(text)
    lines = [line.strip() for line in _LINE_END.split(text.rstrip())]
    if lines == [""]:
        raise LabelsError("the labels' file is empty")
    for number, line in enumerate(lines, 1):
        if not line:
            raise LabelsError(f"line {number} of the labels is blank; it would shift the labels after it")
    return tuple(lines)


def _parse_json(text: str) -> tuple[str, ...]:
    try:
        labels = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise LabelsError(f"the labels start like a JSON list and are none: {error}") from None
    if not labels or not all(isinstance(label, str) and label.strip() for label in labels):
        raise LabelsError("the labels' JSON list must hold strings, none of them blank")
    return tuple(labels)
