"""Labels: from the object, or from a file."""

from pathlib import Path

from classifier_inference.report.start_error import StartError
from classifier_inference.report.termination import Reason
from classifier_inference.spec.classifier import ClassifierSpec
from classifier_inference.spec.label_text import LabelsError, parse_labels

LIMIT_BYTES = 16 * 2**20


def read_labels(spec: ClassifierSpec, path: Path | None) -> tuple[str, ...]:
    """Return the labels from the object or their file. Raises StartError where there are none or they are malformed."""
    if spec.model.labels.inline is not None:
        return tuple(spec.model.labels.inline)
    if path is None:
        raise StartError(
            Reason.LABELS_NOT_FOUND, "labels from a ConfigMap are read in a cluster only: give them inline or by uri"
        )
    return read_label_file(path)


def read_label_file(path: Path) -> tuple[str, ...]:
    """Return the labels of a file. Raises StartError (LabelsInvalid) that says which line is wrong."""
    try:
        return parse_labels(path.read_bytes())
    except LabelsError as error:
        raise StartError(Reason.LABELS_INVALID, str(error)) from None
