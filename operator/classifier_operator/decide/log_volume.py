"""Decide: whether the volume of a prediction log fits the pods that are asked for. No I/O."""

from typing import Any

from classifier_operator import reasons
from classifier_operator.reasons import Problem

Object = dict[str, Any]
MANY_WRITERS = {"ReadWriteMany"}


def find_volume_problem(name: str, claim: Object | None, replicas: int) -> Problem | None:
    """Return what is wrong with a log's volume, or None. `claim` is the live PersistentVolumeClaim."""
    if claim is None:
        message = f"predictionLog.volume: there is no PersistentVolumeClaim {name}"
        return Problem(reasons.VOLUME_NOT_FOUND, message)
    modes = claim["spec"].get("accessModes", [])
    if replicas > 1 and not MANY_WRITERS.intersection(modes):
        message = (
            f"predictionLog.volume: the claim {name} is {', '.join(modes)}, and {replicas} replicas need "
            "ReadWriteMany: take another claim, or one replica"
        )
        return Problem(reasons.VOLUME_NOT_SHAREABLE, message)
    return None
