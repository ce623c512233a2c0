"""Decide: what the objects of a namespace share. No I/O.

What is shared has a name in the namespace. The first object (the oldest) that names it says what it is; an object that
wants something else of that name is told.
"""

from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from classifier_inference.spec.tracking import Storage, Tracking
from classifier_operator import reasons
from classifier_operator.managed_stores import Minio, Mlflow, Shared, resolve_storage
from classifier_operator.names import build_shared_name
from classifier_operator.reasons import Problem

Object = dict[str, Any]


@dataclass(frozen=True)
class Sharing:
    """What the objects of a namespace want to share."""

    wanted: dict[str, Shared]
    """By name."""
    users: dict[str, list[str]]
    """The names of the objects that get it as they want it, by its name."""
    conflicts: dict[tuple[str, str], Problem]
    """What an object is told, by its name and that of the condition."""
    complete: bool
    """Whether all objects could be read. Where not, nothing may be called unused."""


def decide_sharing(bodies: list[Object]) -> Sharing:
    """Return what the objects of one namespace share. Those that are being deleted count no more."""
    sharing = Sharing({}, {}, {}, complete=True)
    first: dict[str, str] = {}
    unreadable = False
    for body in sorted(bodies, key=_age):
        if "deletionTimestamp" in body["metadata"]:
            continue
        wants = _read_wants(body)
        if wants is None:
            unreadable = True
            continue
        name = body["metadata"]["name"]
        for condition, shared in wants:
            holder = first.setdefault(shared.name, name)
            if sharing.wanted.setdefault(shared.name, shared) == shared:
                sharing.users.setdefault(shared.name, []).append(name)
            else:
                sharing.conflicts[name, condition] = _describe_conflict(shared, holder, sharing.wanted[shared.name])
    return Sharing(sharing.wanted, sharing.users, sharing.conflicts, complete=not unreadable)


def wants_shared(body: Object) -> bool:
    """Return whether an object wants anything that others may share."""
    return bool(_read_wants(body))


def _read_wants(body: Object) -> list[tuple[str, Shared]] | None:
    """Return what an object wants to share, with the condition that tells of it; None if it can't be understood."""
    namespace, spec = body["metadata"]["namespace"], body.get("spec") or {}
    try:
        tracking = Tracking.model_validate(spec.get("tracking") or {})
        storage = Storage.model_validate(spec.get("storage") or {})
    except (ValidationError, AttributeError):
        return None
    wants: list[tuple[str, Shared]] = []
    if storage.mode == "Managed":
        wants.append((reasons.STORAGE_READY, Minio(storage.name)))
    if tracking.mode == "Managed":
        wants.append((reasons.TRACKING_READY, Mlflow(tracking.name, resolve_storage(namespace, storage))))
    return wants


def _describe_conflict(shared: Shared, holder: str, held: Shared) -> Problem:
    message = (
        f"{holder} is older and makes {build_shared_name(shared.name)} {held.describe()}, which this object wants as "
        f"{shared.describe()}: agree with it, or take another name"
    )
    return Problem(reasons.CONFLICT, message)


def _age(body: Object) -> tuple[str, str]:
    return body["metadata"]["creationTimestamp"], body["metadata"]["name"]
