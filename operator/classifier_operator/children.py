"""Bring one child to what is wanted: create, mend, or leave alone what isn't ours."""

from typing import Any

from classifier_operator import metrics, reasons
from classifier_operator.cluster import Cluster, RefusedError
from classifier_operator.drift import build_removal, decide_drift
from classifier_operator.names import MANAGED_BY_LABEL, SHARED_LABEL
from classifier_operator.reasons import Problem
from classifier_operator.spec import KIND, Identity

Object = dict[str, Any]


class ObstacleError(Exception):
    """A child can't be made as it should be; the problem says why."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


def is_owned(live: Object, identity: Identity) -> bool:
    """Return whether the object is the child's controlling owner."""
    return _controller(live).get("uid") == identity.uid


async def mend(cluster: Cluster, identity: Identity, wanted: Object, live: Object | None) -> Object:
    """Return the live child, as it should be. What is as it should be is not sent. Raises ObstacleError."""
    if live is not None:
        _check_owner(live, identity)
    return await _bring(cluster, wanted, live)


async def mend_shared(cluster: Cluster, wanted: Object, live: Object | None) -> Object:
    """Return what objects share, as it should be. It has no owner: its labels say whose it is. Raises ObstacleError."""
    if live is not None:
        labels = live["metadata"].get("labels", {})
        if any(labels.get(label) != wanted["metadata"]["labels"][label] for label in (MANAGED_BY_LABEL, SHARED_LABEL)):
            message = (
                f"a {wanted['kind']} named {live['metadata']['name']} exists that is not the operator's: delete it"
            )
            raise ObstacleError(Problem(reasons.NAME_TAKEN, message))
        if "deletionTimestamp" in live["metadata"]:
            message = f"{live['metadata']['name']} is being deleted"
            raise ObstacleError(Problem(reasons.WAITING_FOR_DELETION, message))
    return await _bring(cluster, wanted, live)


async def _bring(cluster: Cluster, wanted: Object, live: Object | None) -> Object:
    kind = wanted["kind"]
    try:
        if live is None:
            metrics.WRITES.labels(kind, "create").inc()
            return await cluster.apply(wanted)
        return await _mend_drift(cluster, wanted, live | {"kind": kind})
    except RefusedError as error:
        raise ObstacleError(Problem(reasons.CHILD_REFUSED, f"{kind} {wanted['metadata']['name']}: {error}")) from error


async def delete(cluster: Cluster, kind: str, live: Object) -> None:
    """Delete a child that is wanted no more."""
    if "deletionTimestamp" in live["metadata"]:
        return
    metrics.WRITES.labels(kind, "delete").inc()
    await cluster.delete(live | {"kind": kind})


async def _mend_drift(cluster: Cluster, wanted: Object, live: Object) -> Object:
    kind = wanted["kind"]
    drift = decide_drift(wanted, live)
    if drift.additions:
        metrics.WRITES.labels(kind, "remove").inc()
        live = await cluster.remove_fields(live, build_removal(live, drift.additions)) | {"kind": kind}
    if drift.apply and decide_drift(wanted, live).apply:
        metrics.WRITES.labels(kind, "apply").inc()
        live = await cluster.apply(wanted)
    return live


def _check_owner(live: Object, identity: Identity) -> None:
    owner = _controller(live)
    name = live["metadata"]["name"]
    if owner.get("uid") != identity.uid:
        if owner.get("kind") == KIND and owner.get("name") == identity.name:
            message = f"{name} of an earlier {KIND} of this name is still being deleted"
            raise ObstacleError(Problem(reasons.WAITING_FOR_DELETION, message))
        holder = f"{owner['kind']} {owner['name']}" if owner else "nobody"
        message = f"a {live.get('kind', 'child')} named {name} exists and belongs to {holder}: rename or delete one"
        raise ObstacleError(Problem(reasons.NAME_TAKEN, message))
    if "deletionTimestamp" in live["metadata"]:
        raise ObstacleError(Problem(reasons.WAITING_FOR_DELETION, f"{name} is being deleted"))


def _controller(live: Object) -> Object:
    owners: list[Object] = live["metadata"].get("ownerReferences", [])
    return next((owner for owner in owners if owner.get("controller")), {})
