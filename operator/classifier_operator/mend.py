"""Bring one child to what is wanted: create, mend, or leave alone what isn't ours."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from classifier_operator import metrics, reasons
from classifier_operator.api_errors import ClusterError, ConflictError, GoneError
from classifier_operator.attempts import Attempt, Attempts, Child, describe_attempt, describe_contest
from classifier_operator.cluster import Cluster
from classifier_operator.decide.drift import PRUNED, Drift, Path, build_removal, build_replacement, decide_drift
from classifier_operator.key import Key
from classifier_operator.names import MANAGED_BY_LABEL, SHARED_LABEL
from classifier_operator.reasons import ObstacleError, Problem
from classifier_operator.spec import KIND, Identity

Object = dict[str, Any]


def is_owned(live: Object, identity: Identity) -> bool:
    """Return whether the object is the child's controlling owner."""
    return _controller(live).get("uid") == identity.uid


class Mender:
    """Brings children to what is wanted: what is as it should be is not sent, and nothing is sent twice in a hurry."""

    def __init__(self, cluster: Cluster, attempts: Attempts) -> None:
        self._cluster = cluster
        self._attempts = attempts

    async def mend(self, identity: Identity, wanted: Object, live: Object | None) -> Object:
        """Return the live child, as it should be, or as others will have it. Raises ObstacleError."""
        if live is not None:
            _check_owner(live, identity)
        return await self._bring(Key(identity.namespace, identity.name), wanted, live)

    async def mend_shared(self, wanted: Object, live: Object | None) -> Object:
        """Return what objects share, likewise. It has no owner: its labels say whose it is. Raises ObstacleError."""
        if live is not None:
            _check_labels(live, wanted)
        return await self._bring(Key(wanted["metadata"]["namespace"]), wanted, live)

    async def _bring(self, owner: Key, wanted: Object, live: Object | None) -> Object:
        kind, name = wanted["kind"], wanted["metadata"]["name"]
        drift = decide_drift(wanted, live | {"kind": kind}) if live is not None else None
        if live is not None and not drift:
            return live
        child, attempt = Child(owner, kind, name), describe_attempt(wanted, drift)
        if not self._attempts.may(child, attempt):
            return self._leave(child, attempt, live)
        try:
            with refusals_told(kind, name):
                brought = await _send(self._cluster, wanted, live, drift)
        except ObstacleError as obstacle:
            self._attempts.note(child, attempt, obstacle.problem)
            raise
        self._attempts.note(child, attempt)
        return brought

    def _leave(self, child: Child, attempt: Attempt, live: Object | None) -> Object:
        """Return the child as it is, to be mended later; raise ObstacleError where it was refused, or isn't there."""
        refusal = self._attempts.find_refusal(child)
        if refusal is None and live is not None:
            return live
        raise ObstacleError(refusal or Problem(reasons.CONTESTED, describe_contest(child, attempt)))


@contextmanager
def refusals_told(kind: str, name: str) -> Iterator[None]:
    """Make an ObstacleError of what the API server has against a child, in its own words."""
    try:
        yield
    except (GoneError, ConflictError):
        raise
    except ClusterError as error:
        raise ObstacleError(Problem(reasons.CHILD_REFUSED, f"{kind} {name}: {error}")) from error


async def delete(cluster: Cluster, kind: str, live: Object) -> None:
    """Delete a child that is wanted no more."""
    if "deletionTimestamp" in live["metadata"]:
        return
    metrics.WRITES.labels(kind, "delete").inc()
    await cluster.delete(live | {"kind": kind})


async def _send(cluster: Cluster, wanted: Object, live: Object | None, drift: Drift | None) -> Object:
    kind = wanted["kind"]
    if live is None or drift is None:
        metrics.WRITES.labels(kind, "create").inc()
        return await cluster.apply(wanted)
    live = live | {"kind": kind}
    if drift.additions:
        metrics.WRITES.labels(kind, "remove").inc()
        live = await cluster.patch(live, build_removal(live, drift.additions)) | {"kind": kind}
    if drift.differences and decide_drift(wanted, live).differences:
        metrics.WRITES.labels(kind, "apply").inc()
        live = await cluster.apply(wanted) | {"kind": kind}
        left = _find_unowned(wanted, live)
        if left:
            metrics.WRITES.labels(kind, "replace").inc()
            live = await cluster.patch(live, build_replacement(wanted, live, left))
    return live


def _find_unowned(wanted: Object, live: Object) -> tuple[Path, ...]:
    """Return what differs still once all is applied: what a webhook added to a list, and so is nobody's to remove."""
    return tuple(path for path in decide_drift(wanted, live).differences if path[0] in PRUNED)


def _check_labels(live: Object, wanted: Object) -> None:
    name, labels = live["metadata"]["name"], live["metadata"].get("labels", {})
    if any(labels.get(label) != wanted["metadata"]["labels"][label] for label in (MANAGED_BY_LABEL, SHARED_LABEL)):
        message = f"a {wanted['kind']} named {name} exists that is not the operator's: delete it"
        raise ObstacleError(Problem(reasons.NAME_TAKEN, message))
    if "deletionTimestamp" in live["metadata"]:
        raise ObstacleError(Problem(reasons.WAITING_FOR_DELETION, f"{name} is being deleted"))


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
