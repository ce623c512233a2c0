"""Mend: bring what is there to what is wanted; write what is to be said. The one module of a reconcile that writes."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

import structlog

from classifier_operator import metrics, reasons
from classifier_operator.api_errors import ClusterError, ConflictError, GoneError
from classifier_operator.attempts import Attempt, Attempts, Child, describe_attempt, describe_contest
from classifier_operator.cluster import Cluster
from classifier_operator.decide.drift import PRUNED, Drift, Path, build_removal, build_replacement, decide_drift
from classifier_operator.decide.ownership import find_child_obstacle, find_shared_obstacle, is_owned
from classifier_operator.key import Key
from classifier_operator.reasons import ObstacleError, Problem
from classifier_operator.resources.credentials import build_credentials
from classifier_operator.resources.event import build_event
from classifier_operator.resources.kinds import Row
from classifier_operator.spec import KIND, Identity

Object = dict[str, Any]
T = TypeVar("T")
_log = structlog.get_logger()


@dataclass(frozen=True)
class Mended:
    """What became of a part's children."""

    live: Mapping[str, Object]
    """By kind, up to the one that couldn't be made as it should be."""
    problem: Problem | None
    """Of that one."""


class Mender:
    """Brings children to what is wanted: what is as it should be is not sent, and nothing is sent twice in a hurry."""

    def __init__(self, cluster: Cluster, attempts: Attempts) -> None:
        self._cluster = cluster
        self._attempts = attempts

    async def mend_part(
        self, identity: Identity, rows: Iterable[Row[T]], wish: T, children: Mapping[str, Mapping[str, Object]]
    ) -> Mended:
        """Create, mend or delete the children of a part's rows, one after the other, up to the first that can't be.

        `children` are the live objects, by kind and by name.
        """
        mended: dict[str, Object] = {}
        try:
            for row in rows:
                wanted, there = row.build(wish), children[row.kind.name]
                if wanted is not None:
                    live = there.get(wanted["metadata"]["name"])
                    stays = row.is_made_once and live is not None and is_owned(live, identity)
                    mended[row.kind.name] = live if live and stays else await self.mend(identity, wanted, live)
                elif row.name is not None:
                    await self.delete_owned(identity, there.values())
        except ObstacleError as obstacle:
            return Mended(mended, obstacle.problem)
        return Mended(mended, None)

    async def mend(self, identity: Identity, wanted: Object, live: Object | None) -> Object:
        """Return the live child, as it should be, or as others will have it. Raises ObstacleError."""
        _raise(find_child_obstacle(live, identity) if live is not None else None)
        return await self._bring(Key(identity.namespace, identity.name), wanted, live)

    async def mend_shared(self, wanted: Object, live: Object | None) -> Object:
        """Return what objects share, likewise. Raises ObstacleError."""
        _raise(find_shared_obstacle(live, wanted) if live is not None else None)
        return await self._bring(Key(wanted["metadata"]["namespace"]), wanted, live)

    async def delete_owned(self, identity: Identity, unwanted: Iterable[Object]) -> None:
        """Delete what is wanted no more, of it what is the object's own."""
        for live in unwanted:
            if is_owned(live, identity):
                await self.delete(live)

    async def delete(self, live: Object) -> None:
        """Delete what is wanted no more, unless it is being deleted already."""
        if "deletionTimestamp" in live["metadata"]:
            return
        metrics.WRITES.labels(live["kind"], "delete").inc()
        await self._cluster.delete(live)

    async def create_credentials(self, namespace: str, name: str) -> Problem | None:
        """See to it that a MinIO has credentials: those that are there, or new ones. They are never read.

        Returns what the API server has against them, or None.
        """
        secret = build_credentials(namespace, name)
        try:
            with _refusals_told("Secret", secret["metadata"]["name"]):
                created = await self._cluster.create_secret(secret)
        except ObstacleError as obstacle:
            return obstacle.problem
        if created:
            metrics.WRITES.labels("Secret", "create").inc()
            _log.info("created credentials", namespace=namespace, name=name)
        return None

    async def replace_status(self, body: Object, status: Object) -> None:
        """Write an object's status. Raises ConflictError where the object has changed since it was read."""
        metrics.WRITES.labels(KIND, "status").inc()
        await self._cluster.replace_status(body, status)

    async def record_event(self, identity: Identity, condition: Object, now: datetime) -> None:
        """Tell of a condition, or of what is told like one. An Event that isn't taken holds nothing up."""
        metrics.WRITES.labels("Event", "create").inc()
        try:
            await self._cluster.create_event(build_event(identity, condition, now))
        except ClusterError as error:
            _log.warning("event not recorded", namespace=identity.namespace, name=identity.name, error=str(error))

    async def _bring(self, owner: Key, wanted: Object, live: Object | None) -> Object:
        kind, name = wanted["kind"], wanted["metadata"]["name"]
        drift = decide_drift(wanted, live | {"kind": kind}) if live is not None else None
        if live is not None and not drift:
            return live
        child, attempt = Child(owner, kind, name), describe_attempt(wanted, drift)
        if not self._attempts.may(child, attempt):
            return self._leave(child, attempt, live)
        try:
            with _refusals_told(kind, name):
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
def _refusals_told(kind: str, name: str) -> Iterator[None]:
    """Make an ObstacleError of what the API server has against a child, in its own words."""
    try:
        yield
    except (GoneError, ConflictError):
        raise
    except ClusterError as error:
        raise ObstacleError(Problem(reasons.CHILD_REFUSED, f"{kind} {name}: {error}")) from error


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


def _raise(problem: Problem | None) -> None:
    if problem is not None:
        raise ObstacleError(problem)
