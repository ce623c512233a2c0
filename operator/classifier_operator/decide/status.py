"""Summarise: what was observed -> status. No I/O; the clock is passed in.

Status says what was observed, never what is hoped. `Ready` is True only when a pod of this generation's template is
ready and no other pod that the Service selects could answer.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from classifier_operator import reasons
from classifier_operator.decide import failures
from classifier_operator.decide.model_version import describe_moved
from classifier_operator.decide.rollout import Rollout, ServedModel
from classifier_operator.names import build_selector
from classifier_operator.reasons import Problem
from classifier_operator.spec import Identity

Status = dict[str, Any]
_NO_FAILURES = {
    reasons.ANSWERING,
    reasons.SCALED_TO_ZERO,
    reasons.STARTING,
    reasons.ROLLING_OUT,
    reasons.RESOLVING,
    reasons.WAITING_FOR_DELETION,
}


@dataclass(frozen=True)
class Condition:
    """A condition as observed, without its times."""

    type: str
    status: str
    reason: str
    message: str


@dataclass(frozen=True)
class Observation:
    """All that a status is made from."""

    rollout: Rollout
    deployment: dict[str, Any] | None
    replicas: int | None
    """How many pods are asked for; None where the spec can't be understood."""
    revision: str | None
    problem: Problem | None
    """What kept the operator from making the children as they should be."""
    url: str | None
    route: Condition | None
    sinks: tuple[Condition, ...] = ()
    """TrackingReady and StorageReady, of an object that logs."""
    log: Status | None = None
    """What the log has lost."""
    resolved: Status | None = None
    """What MLflow's registry said that the model's address stands for."""
    contests: Sequence[str] = ()
    """Which mends others undo, a sentence each."""
    remark: str | None = None
    """What else is to be said of what answers."""


def summarise_status(identity: Identity, slot: str, seen: Observation, previous: Status, now: datetime) -> Status:
    """Return the object's whole status. `slot` is the one that serves."""
    conditions = [_summarise_ready(seen, previous), _summarise_served(seen), _summarise_progress(seen)]
    conditions += seen.sinks
    if seen.route is not None:
        conditions.append(seen.route)
    model = _summarise_model(seen.rollout.served, previous)
    failure = _summarise_failure(conditions[0], previous, now)
    return {
        "observedGeneration": identity.generation,
        "replicas": (seen.deployment or {}).get("status", {}).get("replicas", 0),
        "selector": ",".join(f"{name}={value}" for name, value in build_selector(identity, slot).items()),
        "conditions": [_render(condition, identity.generation, previous, now) for condition in conditions],
        **({"url": seen.url} if seen.url else {}),
        **({"model": model} if model else {}),
        **({"lastFailure": failure} if failure else {}),
        **({"log": seen.log} if seen.log else {}),
        **({"resolved": seen.resolved} if seen.resolved else {}),
    }


def summarise_failed(identity: Identity, problem: Problem, previous: Status, now: datetime) -> Status:
    """Return the status of an object that could not be looked at: why, and what was seen before."""
    ready = Condition(reasons.READY, "False", problem.reason, problem.message)
    others = [condition for condition in previous.get("conditions", []) if condition["type"] != reasons.READY]
    conditions = [_render(ready, identity.generation, previous, now), *others]
    return previous | {"conditions": conditions, "lastFailure": _summarise_failure(ready, previous, now)}


def find_new_readiness(previous: Status, status: Status) -> Status | None:
    """Return the Ready condition where it, or its reason, has changed, or None."""
    before, after = (find_condition(each, reasons.READY) for each in (previous, status))
    if after is None or (before and (before["status"], before["reason"]) == (after["status"], after["reason"])):
        return None
    return after


def find_new_contest(previous: Status, status: Status) -> Status | None:
    """Return what an Event says where others have begun to undo what is mended, as a condition would, or None."""
    before, after = (find_condition(each, reasons.PROGRESSING) or {} for each in (previous, status))
    if after.get("reason") != reasons.CONTESTED or before.get("reason") == reasons.CONTESTED:
        return None
    return after | {"status": "False"}


def find_condition(status: Status, kind: str) -> Status | None:
    """Return the condition of that type, or None."""
    return next((condition for condition in status.get("conditions", []) if condition["type"] == kind), None)


def summarise_route(ingress: dict[str, Any] | None, problem: Problem | None) -> Condition:
    """Return the RouteReady condition of an object that wants an Ingress."""
    if problem is not None:
        return Condition(reasons.ROUTE_READY, "False", problem.reason, problem.message)
    if (ingress or {}).get("status", {}).get("loadBalancer", {}).get("ingress"):
        return Condition(reasons.ROUTE_READY, "True", reasons.ROUTED, "an ingress controller has taken the Ingress up")
    message = "no ingress controller has given the Ingress an address: is one installed, and is className its class?"
    return Condition(reasons.ROUTE_READY, "False", reasons.NO_ADDRESS, message)


def _summarise_ready(seen: Observation, previous: Status) -> Condition:
    problem = _find_obstacle(seen, previous)
    if problem is not None:
        return Condition(reasons.READY, "False", problem.reason, problem.message)
    count = seen.rollout.ready
    return Condition(reasons.READY, "True", reasons.ANSWERING, f"{count} ready, all of this generation")


def _find_obstacle(seen: Observation, previous: Status) -> Problem | None:
    """Return why the object isn't ready, or None when it is."""
    rollout = seen.rollout
    if seen.problem is not None:
        return seen.problem
    if seen.replicas == 0:
        return Problem(reasons.SCALED_TO_ZERO, "replicas is 0")
    others = rollout.others_answer or rollout.others_expected
    differing = _find_differing_digest(seen, previous)
    if rollout.ready and differing is not None:
        return differing
    if rollout.ready and not others:
        return None
    failed = _find_failed(seen)
    if failed is not None:
        return failed
    if others:
        return Problem(reasons.ROLLING_OUT, "pods of another template have not ended yet")
    return Problem(reasons.STARTING, "no pod is ready yet")


def _find_failed(seen: Observation) -> Problem | None:
    """Return why a pod of the present template isn't ready, or isn't there."""
    return _first(map(failures.find_problem, seen.rollout.current)) or failures.find_replica_failure(seen.deployment)


def _find_differing_digest(seen: Observation, previous: Status) -> Problem | None:
    """Return what is wrong where a pod fetched another model than the first pod of its revision."""
    model = previous.get("model", {})
    known = [model["sha256"]] if model.get("revision") == seen.revision and "sha256" in model else []
    digests = list(dict.fromkeys([*known, *seen.rollout.digests]))
    if len(digests) < 2:
        return None
    message = f"pods have fetched different models: {', '.join(digests)}; set model.sha256 to the one that is meant"
    return Problem(reasons.MODEL_DIFFERS, message)


def _summarise_served(seen: Observation) -> Condition:
    served = seen.rollout.served
    if served is None:
        return Condition(reasons.MODEL_SERVED, "False", reasons.NOTHING_ANSWERS, "no pod is ready")
    said = [f"version {served.version} answers", describe_moved(seen.resolved or {}), seen.remark]
    return Condition(reasons.MODEL_SERVED, "True", reasons.ANSWERING, "; ".join(filter(None, said)))


def _summarise_progress(seen: Observation) -> Condition:
    asked = seen.replicas
    if asked is None:
        return Condition(reasons.PROGRESSING, "Unknown", reasons.SPEC_INVALID, "the spec can't be understood")
    said = f"{seen.rollout.ready} of {asked} replicas ready"
    all_ready = seen.problem is None and seen.rollout.ready >= asked
    failed = _find_failed(seen) if seen.problem is None and not all_ready else None
    reason = reasons.REPLICAS_READY if all_ready else failed.reason if failed else reasons.ROLLING_OUT
    message = "; ".join([said, *([failed.message] if failed else []), *seen.contests])
    return Condition(reasons.PROGRESSING, str(all_ready), reasons.CONTESTED if seen.contests else reason, message)


def _summarise_model(served: ServedModel | None, previous: Status) -> Status | None:
    """Return the model that answers, or answered last; its digest stays the one its first pod reported."""
    before: Status | None = previous.get("model")
    if served is None:
        return before
    sha256 = served.sha256
    if before and before.get("revision") == served.revision:
        sha256 = before.get("sha256", sha256)
    return {"version": served.version, "revision": served.revision} | ({"sha256": sha256} if sha256 else {})


def _summarise_failure(ready: Condition, previous: Status, now: datetime) -> Status | None:
    before: Status | None = previous.get("lastFailure")
    if ready.reason in _NO_FAILURES:
        return before
    failure = {"reason": ready.reason, "message": ready.message}
    same = before is not None and failure.items() <= before.items()
    return before if same else failure | {"time": _render_time(now)}


def _render(condition: Condition, generation: int, previous: Status, now: datetime) -> Status:
    before = find_condition(previous, condition.type)
    unchanged = before is not None and before["status"] == condition.status
    return {
        "type": condition.type,
        "status": condition.status,
        "reason": condition.reason,
        "message": condition.message,
        "lastTransitionTime": before["lastTransitionTime"] if before and unchanged else _render_time(now),
        "observedGeneration": generation,
    }


def _render_time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _first(problems: Iterable[Problem | None]) -> Problem | None:
    return next((problem for problem in problems if problem is not None), None)
