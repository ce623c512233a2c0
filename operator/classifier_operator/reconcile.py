"""Reconcile one object: parse -> build -> apply -> observe -> summarise -> patch, whatever the trigger."""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog

from classifier_operator import metrics, reasons
from classifier_operator.api_errors import ClusterError, ConflictError, GoneError
from classifier_operator.attempts import Attempts
from classifier_operator.cluster import Cluster
from classifier_operator.decide.class_labels import fetch_labels
from classifier_operator.decide.registry_question import Resolver
from classifier_operator.decide.rollout import decide_rollout, find_used_revisions
from classifier_operator.decide.sink_health import describe_loss, summarise_lost
from classifier_operator.decide.status import (
    Condition,
    Observation,
    find_condition,
    find_new_contest,
    summarise_failed,
    summarise_route,
    summarise_status,
)
from classifier_operator.key import Key
from classifier_operator.log_keeper import LogKeeper
from classifier_operator.mend import Mender, delete, is_owned
from classifier_operator.names import CLASSIFIER_LABEL, FIRST_SLOT, REVISION_LABEL, build_selector
from classifier_operator.reasons import ObstacleError, Problem
from classifier_operator.resources.config_map import build_config_map, build_config_map_name, read_ca_bundle
from classifier_operator.resources.deployment import build_deployment, read_as_built
from classifier_operator.resources.event import build_event
from classifier_operator.resources.ingress import build_ingress, build_url
from classifier_operator.resources.pod import build_pod_template
from classifier_operator.resources.revision import Revision, build_revision
from classifier_operator.resources.service import build_service
from classifier_operator.resources.service_account import build_service_account
from classifier_operator.settings import Settings
from classifier_operator.spec import (
    KIND,
    Identity,
    ImageClassifier,
    SpecError,
    parse_identity,
    parse_image_classifier,
)

Object = dict[str, Any]
RETRY_SECONDS = 1.0
"""When to look again at what gives no sign of its own, such as a name that another object holds."""
FIRST_TOLD = 4
"""Of failures in a row, the fourth, eighth, sixteenth … is told in status: fewer may be a moment's."""
_MESSAGE_LIMIT = 1024
_log = structlog.get_logger()


@dataclass
class Children:
    """What is there of an object's children, as far as it is the object's own."""

    classifier: ImageClassifier | None = None
    revision: Revision | None = None
    deployment: Object | None = None
    ingress: Object | None = None
    problem: Problem | None = None
    route: Condition | None = None
    resolved: Object | None = None
    remark: str | None = None


class Reconciler:
    """Brings objects to what their spec says, and their status to what is seen."""

    def __init__(
        self,
        cluster: Cluster,
        settings: Settings,
        ca_bundle: str | None,
        log_keeper: LogKeeper,
        attempts: Attempts,
        clock: Callable[[], datetime],
    ) -> None:
        self._cluster = cluster
        self._log_keeper = log_keeper
        self._attempts = attempts
        self._mender = Mender(cluster, attempts)
        self._resolver = Resolver(cluster, self._mender, settings, ca_bundle)
        self._settings = settings
        self._ca_bundle = ca_bundle
        self._clock = clock
        self._failures = Counter[Key]()

    async def reconcile(self, key: Key) -> float | None:
        """Deal with one object; return the seconds after which to look again, or None. Raises what went wrong."""
        body = await self._cluster.get(KIND, key.namespace, key.name)
        if body is None or "deletionTimestamp" in body["metadata"]:
            self._forget(key)
            return None
        try:
            made = await self._make_children(body)
            await self._write_status(body, made)
        except GoneError:
            _log.info("the namespace or the object is ending", namespace=key.namespace, name=key.name)
            return None
        except ConflictError:
            raise
        except Exception as error:
            self._failures[key] += 1
            if is_told(self._failures[key]):
                await self._tell_failure(body, error)
            raise
        del self._failures[key]
        if {made.problem and made.problem.reason, made.route and made.route.reason} & reasons.SIGNLESS:
            return RETRY_SECONDS
        return self._attempts.take_wait(key)

    def _forget(self, key: Key) -> None:
        self._log_keeper.forget(key)
        self._attempts.forget(key)
        del self._failures[key]

    async def _make_children(self, body: Object) -> Children:
        identity = parse_identity(body)
        made = Children()
        try:
            made.classifier = parse_image_classifier(body)
            labels, made.remark = await fetch_labels(self._cluster, made.classifier, body.get("status", {}))
            made.classifier, found = await self._resolver.resolve(made.classifier, labels, body.get("status", {}))
            made.resolved = found.render() if found else None
            made.revision = build_revision(made.classifier, labels)
            await self._make_pods(made.classifier, made.revision, made)
        except SpecError as error:
            made.problem = Problem(reasons.SPEC_INVALID, str(error))
        except ObstacleError as obstacle:
            made.problem = obstacle.problem
        if made.deployment is None:
            live = await self._cluster.get("Deployment", identity.namespace, identity.name)
            made.deployment = live if live and is_owned(live, identity) else None
        if made.classifier is not None:
            await self._make_route(made.classifier, made)
        return made

    async def _make_pods(self, classifier: ImageClassifier, revision: Revision, made: Children) -> None:
        identity = classifier.identity
        config_map_name = build_config_map_name(identity, revision.name)
        account, config_map, service, deployment = await asyncio.gather(
            self._get("ServiceAccount", identity, identity.name),
            self._get("ConfigMap", identity, config_map_name),
            self._get("Service", identity, identity.name),
            self._get("Deployment", identity, identity.name),
        )
        ca_bundle = read_ca_bundle(config_map, self._ca_bundle)
        await self._log_keeper.check_volume(classifier)
        template = read_as_built(deployment, revision)
        if template is None:
            await self._log_keeper.prepare(classifier)
            template = build_pod_template(classifier, FIRST_SLOT, revision, self._settings, ca_bundle)
        wanted = build_deployment(classifier, FIRST_SLOT, revision, template)
        await self._mender.mend(identity, build_service_account(classifier), account)
        await self._mender.mend(identity, build_config_map(identity, revision, ca_bundle), config_map)
        await self._mender.mend(identity, build_service(classifier, FIRST_SLOT), service)
        made.deployment = await self._mender.mend(identity, wanted, deployment)

    async def _make_route(self, classifier: ImageClassifier, made: Children) -> None:
        identity = classifier.identity
        live = await self._get("Ingress", identity, identity.name)
        wanted = build_ingress(classifier)
        if wanted is None:
            if live is not None and is_owned(live, identity):
                await delete(self._cluster, "Ingress", live)
            return
        problem = None
        try:
            made.ingress = await self._mender.mend(identity, wanted, live)
        except ObstacleError as obstacle:
            problem = obstacle.problem
        made.route = summarise_route(made.ingress, problem)

    async def _write_status(self, body: Object, made: Children) -> None:
        identity = parse_identity(body)
        replica_sets, selected = await asyncio.gather(
            self._cluster.find("ReplicaSet", identity.namespace, build_selector(identity, FIRST_SLOT)),
            self._cluster.find("Pod", identity.namespace, build_selector(identity, FIRST_SLOT)),
        )
        if made.revision is not None:
            await self._delete_unused(identity, find_used_revisions(replica_sets, selected) | {made.revision.name})
        previous = body.get("status", {})
        now = self._clock()
        key = Key(identity.namespace, identity.name)
        losses = self._log_keeper.list_losses(key)
        rollout = decide_rollout(made.deployment if made.revision else None, replica_sets, selected)
        seen = Observation(
            rollout=rollout,
            deployment=made.deployment,
            replicas=made.classifier.replicas if made.classifier else None,
            revision=made.revision.name if made.revision else None,
            problem=made.problem,
            url=build_url(made.classifier, made.ingress) if made.classifier else previous.get("url"),
            route=made.route,
            sinks=await self._log_keeper.observe(made.classifier, rollout, previous) if made.classifier else (),
            log=summarise_lost(previous, [*losses.values()]),
            resolved=made.resolved or (previous.get("resolved") if made.problem else None),
            contests=self._attempts.list_contested(key),
            remark=made.remark,
        )
        if await self._replace_status(body, summarise_status(identity, FIRST_SLOT, seen, previous, now), now):
            self._log_keeper.settle(key, losses)
            for loss in losses.values():
                await self._tell(identity, describe_loss(loss), now)

    async def _tell_failure(self, body: Object, error: Exception) -> None:
        """Say in status why nothing could be done or seen. What was seen before stays."""
        now = self._clock()
        status = summarise_failed(parse_identity(body), describe_failure(error), body.get("status", {}), now)
        await self._replace_status(body, status, now)

    async def _replace_status(self, body: Object, status: Object, now: datetime) -> bool:
        """Write a status that differs from the one before, and tell of what is new in it; return whether it did."""
        previous = body.get("status", {})
        if status == previous:
            return False
        metrics.WRITES.labels(KIND, "status").inc()
        await self._cluster.replace_status(body, status)
        identity = parse_identity(body)
        await self._tell_readiness(identity, previous, status, now)
        contest = find_new_contest(previous, status)
        if contest is not None:
            await self._tell(identity, contest, now)
        return True

    async def _tell_readiness(self, identity: Identity, previous: Object, status: Object, now: datetime) -> None:
        before, after = (find_condition(each, reasons.READY) for each in (previous, status))
        if after is None or (before and (before["status"], before["reason"]) == (after["status"], after["reason"])):
            return
        _log.info(
            "readiness changed",
            namespace=identity.namespace,
            name=identity.name,
            ready=after["status"],
            reason=after["reason"],
            message=after["message"],
        )
        await self._tell(identity, after, now)

    async def _tell(self, identity: Identity, condition: Object, now: datetime) -> None:
        metrics.WRITES.labels("Event", "create").inc()
        try:
            await self._cluster.create_event(build_event(identity, condition, now))
        except ClusterError as error:
            _log.warning("event not recorded", namespace=identity.namespace, name=identity.name, error=str(error))

    async def _delete_unused(self, identity: Identity, used: set[str]) -> None:
        """Delete the ConfigMaps of revisions that no pod has, and that none will come back with."""
        for config_map in await self._cluster.find("ConfigMap", identity.namespace, {CLASSIFIER_LABEL: identity.name}):
            revision = config_map["metadata"]["labels"].get(REVISION_LABEL)
            if is_owned(config_map, identity) and revision not in used:
                await delete(self._cluster, "ConfigMap", config_map)

    async def _get(self, kind: str, identity: Identity, name: str) -> Object | None:
        return await self._cluster.get(kind, identity.namespace, name)


def is_told(failures: int) -> bool:
    """Return whether status tells of so many failures in a row: ever more rarely, since each write is a trigger."""
    return failures >= FIRST_TOLD and failures & (failures - 1) == 0


def describe_failure(error: Exception) -> Problem:
    """Return what status says of what nobody reckoned with: the API server's words, but of others the name alone."""
    name = type(error).__name__
    message = str(error) if isinstance(error, ClusterError) else f"{name}: the operator's log says more"
    return Problem(reasons.RECONCILE_FAILED, message[:_MESSAGE_LIMIT])
