"""Summarise: what a pod says of the stores, and what is known of them otherwise -> conditions. No I/O."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from classifier_inference.report.sink_state import SinkState, SinkStates
from classifier_operator import reasons
from classifier_operator.decide.pod_state import is_ready
from classifier_operator.decide.sharing import decide_sharing
from classifier_operator.decide.status import Condition, find_condition
from classifier_operator.reasons import Problem
from classifier_operator.spec import ImageClassifier

Object = dict[str, Any]


@dataclass(frozen=True)
class Target:
    """The pod to ask."""

    pod: str
    address: str


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


def decide_target(current: Sequence[Object]) -> Target | None:
    """Return which pod of the present template is asked how the stores are doing, or None where none is ready."""
    for pod in current:
        address = pod.get("status", {}).get("podIP")
        if is_ready(pod) and address:
            return Target(pod["metadata"]["name"], address)
    return None


def list_sinks(classifier: ImageClassifier) -> dict[str, str]:
    """Return the object's conditions of stores, with the part of a pod's answer that each is about."""
    storage = {reasons.STORAGE_READY: "storage"} if classifier.spec.storage.mode != "None" else {}
    return {reasons.TRACKING_READY: "tracking", **storage} if classifier.logs else {}


def list_managed(classifier: ImageClassifier) -> dict[str, str]:
    """Return the names of the managed servers that the object logs to, by the condition that tells of each."""
    spec, sinks = classifier.spec, list_sinks(classifier)
    stores = ((reasons.TRACKING_READY, spec.tracking), (reasons.STORAGE_READY, spec.storage))
    return {kind: store.name for kind, store in stores if store.mode == "Managed" and kind in sinks}


def find_obstacles(
    classifier: ImageClassifier, peers: list[Object], problems: Mapping[str, Problem | None]
) -> dict[str, Problem]:
    """Return what is in the way of managed servers, by condition.

    That is an older wish among the namespace's objects (`peers`), or what is wrong with a server (`problems`, by name).
    """
    managed = list_managed(classifier)
    conflicts = decide_sharing(peers).conflicts if managed else {}
    found = {
        kind: conflicts.get((classifier.identity.name, kind)) or problems.get(server)
        for kind, server in managed.items()
    }
    return {kind: problem for kind, problem in found.items() if problem is not None}


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
