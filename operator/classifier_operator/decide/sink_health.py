"""Summarise: what a pod says of the stores, and what ended unshipped -> conditions, status.log. No I/O."""

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from classifier_inference.log_state import SinkState, SinkStates
from classifier_inference.termination import Lost, parse_termination
from classifier_operator import reasons
from classifier_operator.decide.status import Condition, find_condition
from classifier_operator.reasons import Problem
from classifier_operator.spec import ImageClassifier

RECORDER = "recorder"


@dataclass(frozen=True)
class Answer:
    """What came of asking a pod."""

    states: SinkStates | None
    """None where it didn't answer."""
    pod: str
    pending: bool = False
    """Whether it has not been asked yet."""


class _Health(BaseModel):
    log: SinkStates


def parse_answer(pod: str, body: bytes) -> Answer:
    """Return what a pod said in `/api/v1/health`; an answer that can't be understood counts as none."""
    try:
        return Answer(_Health.model_validate_json(body).log, pod)
    except ValidationError:
        return Answer(None, pod)


def read_loss(pod: dict[str, Any]) -> Lost | None:
    """Return what ended unshipped with a pod that is terminating or gone, or None where nothing is said of it."""
    if "deletionTimestamp" not in pod["metadata"]:
        return None
    for status in pod.get("status", {}).get("initContainerStatuses", []):
        if status["name"] == RECORDER:
            note = parse_termination(status.get("state", {}).get("terminated", {}).get("message") or "")
            return note if isinstance(note, Lost) else None
    return None


def list_sinks(classifier: ImageClassifier) -> dict[str, str]:
    """Return the object's conditions of stores, with the part of a pod's answer that each is about."""
    storage = {reasons.STORAGE_READY: "storage"} if classifier.spec.storage.mode != "None" else {}
    return {reasons.TRACKING_READY: "tracking", **storage} if classifier.logs else {}


def summarise_sinks(
    classifier: ImageClassifier, answer: Answer | None, obstacles: dict[str, Problem], previous: dict[str, Any]
) -> list[Condition]:
    """Return TrackingReady and StorageReady, each where the object has such a store.

    `answer` is None where there is no pod to ask. `obstacles` are what is known by other ways, by condition: another
    object's wish that came first, or a managed server that doesn't run.
    """
    return [
        _summarise_sink(kind, answer, part, obstacles.get(kind), find_condition(previous, kind))
        for kind, part in list_sinks(classifier).items()
    ]


def _summarise_sink(
    kind: str, answer: Answer | None, part: str, obstacle: Problem | None, previous: dict[str, Any] | None
) -> Condition:
    state: SinkState | None = getattr(answer.states, part) if answer and answer.states else None
    conflict = obstacle is not None and obstacle.reason == reasons.CONFLICT
    if obstacle is not None and (conflict or state is None or not state.ready):
        return Condition(kind, "False", obstacle.reason, obstacle.message)
    if answer is None:
        return Condition(kind, "Unknown", reasons.NO_ANSWER, "no pod of this generation is ready to be asked")
    if answer.pending:
        # An operator that has just started has asked nobody yet: what was seen before still stands.
        before = previous or {"status": "Unknown", "reason": reasons.NO_ANSWER, "message": "not asked yet"}
        return Condition(kind, before["status"], before["reason"], before["message"])
    if state is None:
        return Condition(kind, "Unknown", reasons.NO_ANSWER, f"pod {answer.pod} did not say within 2 s")
    if state.ready is None:
        return Condition(kind, "Unknown", state.reason, state.message or "nothing has been shipped yet")
    message = state.message or "takes what is logged"
    return Condition(kind, "True" if state.ready else "False", state.reason, message)


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
