"""What runs hold besides numbers, by name and content: names made safe, results as text. No I/O."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import PurePosixPath

INPUT_IMAGES = "input_images"
PREDICTION_RESULTS = "prediction_results"
LONGEST_NAME = 150
"""Bytes of a file's name: stores take 255, some after encoding it."""

_UNSAFE_IN_FILES = re.compile(r'[\x00-\x1f\x7f-\x9f\ud800-\udfff#?%:*"<>|]')
"""What MLflow or a file system reads as more than a part of a name."""
_UNSAFE_IN_KEYS = re.compile(r"[^\w.\- :]")
"""What a metric's name may not hold; a slash would begin a group of its own."""
LONGEST_KEY = 200


def safe_name(name: str | None, otherwise: str = "image") -> str:
    """Return a file name that is one in every store: the last part of a path, without what means more than itself."""
    last = re.split(r"[/\\]", name or "")[-1]
    cleaned = _UNSAFE_IN_FILES.sub("_", last).strip(" .") or otherwise
    suffix = PurePosixPath(cleaned).suffix[:16]
    stem = cleaned.removesuffix(suffix).encode()[: LONGEST_NAME - len(suffix.encode())]
    return stem.decode(errors="ignore") + suffix


def safe_key(label: str) -> str:
    """Return a label as a part of a metric's name, which takes letters, digits, and `_-. :`."""
    cleaned = _UNSAFE_IN_KEYS.sub("_", label)[:LONGEST_KEY].strip()
    return cleaned if cleaned.strip(".") else "_" * max(len(cleaned), 1)


def result_name(time: datetime) -> str:
    """Return where the text of a prediction made at a time lies among a run's artifacts."""
    return f"{PREDICTION_RESULTS}/prediction_{time.astimezone(UTC):%Y%m%dT%H%M%S%f}Z.txt"


def render_result(facts: Mapping[str, str], predictions: Sequence[tuple[str, float]]) -> str:
    """Return a prediction as text: what is known of it, then labels and confidences, best first."""
    lines = [f"{name}: {' '.join(value.split())}" for name, value in facts.items()]
    ranks = [f"{rank:>3}. {confidence:.6f}  {label}" for rank, (label, confidence) in enumerate(predictions, 1)]
    return "\n".join([*lines, "", *ranks, ""])


def confidence_metrics(predictions: Sequence[tuple[str, float]]) -> dict[str, float]:
    """Return a metric for each confidence, `confidence/<label>`; of labels that look the same, the highest counts."""
    metrics: dict[str, float] = {}
    for label, confidence in predictions:
        key = f"confidence/{safe_key(label)}"
        metrics[key] = max(confidence, metrics.get(key, 0.0))
    return metrics
