"""Summarise: what ended with pods before it was shipped -> status.log, and what an Event says of it. No I/O."""

from typing import Any

from classifier_inference.report.termination import Lost, parse_termination
from classifier_operator import reasons

RECORDER = "recorder"


def read_loss(pod: dict[str, Any]) -> Lost | None:
    """Return what ended unshipped with a pod that is terminating or gone, or None where nothing is said of it."""
    if "deletionTimestamp" not in pod["metadata"]:
        return None
    for status in pod.get("status", {}).get("initContainerStatuses", []):
        if status["name"] == RECORDER:
            note = parse_termination(status.get("state", {}).get("terminated", {}).get("message") or "")
            return note if isinstance(note, Lost) else None
    return None


def describe_loss(loss: Lost) -> dict[str, Any]:
    """Return what an Event says of a loss, as a condition would."""
    counts = f"{loss.lost_predictions} predictions and {loss.lost_images} images"
    message = (
        f"{counts} ended with a pod before they were shipped; predictionLog.volume or a longer shipTime keeps them"
    )
    return {"status": "False", "reason": reasons.PREDICTIONS_LOST, "message": message}


def summarise_lost(previous: dict[str, Any], losses: list[Lost]) -> dict[str, Any] | None:
    """Return status.log: what was lost before, and these losses too."""
    before: dict[str, Any] | None = previous.get("log")
    if not losses:
        return before
    lost = (before or {}).get("lost", {})
    predictions = lost.get("predictions", 0) + sum(loss.lost_predictions for loss in losses)
    images = lost.get("images", 0) + sum(loss.lost_images for loss in losses)
    return {"lost": {"predictions": predictions, "images": images}}
