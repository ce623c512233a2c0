"""Reconcile one object, whatever the trigger: parse -> observe -> decide -> build -> mend -> summarise.

    spec.parse_image_classifier      the object as it was sent -> ImageClassifier, or what is wrong with it
    observe.observe_world            one look at all that is there of it: children, pods, what the spec names
    decide.plan.decide_plan          labels, the version behind an alias, the revision; and what is in the way
    resources.kinds                  the table: kind -> manifest, or None for unwanted
    mend.Mender.mend_part            wanted and live -> apply, create, delete; each part up to its first obstacle
    decide.status.summarise_status   all that was seen -> status, written where it differs, and told in Events
    decide.wait.decide_wait          when to look again unasked

Nothing is remembered between two reconciles but what `attempts`, `loss_ledger` and `sink_poller` hold.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog

from classifier_operator import reasons
from classifier_operator.api_errors import ConflictError, GoneError
from classifier_operator.attempts import Attempts
from classifier_operator.decide.failures import describe_failure, is_told
from classifier_operator.decide.losses import describe_loss, summarise_lost
from classifier_operator.decide.plan import Plan, decide_plan
from classifier_operator.decide.rollout import Rollout, decide_rollout, find_unused_config_maps, find_used_revisions
from classifier_operator.decide.sink_health import decide_target, find_obstacles, list_managed, summarise_sinks
from classifier_operator.decide.status import (
    Condition,
    Observation,
    summarise_failed,
    summarise_route,
    summarise_status,
)
from classifier_operator.decide.wait import decide_wait
from classifier_operator.key import Key
from classifier_operator.loss_ledger import LossLedger
from classifier_operator.mend import Mended, Mender
from classifier_operator.names import FIRST_SLOT, build_selector, build_slot_name
from classifier_operator.observe import Children, Observer, World
from classifier_operator.reasons import Problem
from classifier_operator.resources.config_map import CONFIG_MAP, build_config_map_name, read_ca_bundle
from classifier_operator.resources.deployment import DEPLOYMENT, read_as_built
from classifier_operator.resources.ingress import INGRESS, build_url
from classifier_operator.resources.kinds import PODS, QUESTION, ROUTE, PodsWish, QuestionWish
from classifier_operator.resources.pod import build_pod_template
from classifier_operator.resources.resolve_job import JOB
from classifier_operator.settings import Settings
from classifier_operator.sink_poller import HealthPoller
from classifier_operator.spec import ImageClassifier, SpecError, parse_identity, parse_image_classifier
from classifier_operator.status_writer import StatusWriter

Object = dict[str, Any]
RETRY_SECONDS = 1.0
"""When to look again at what gives no sign of its own, such as a name that another object holds."""
_log = structlog.get_logger()


@dataclass(frozen=True)
class Made:
    """What an object came to, and what became of its children."""

    plan: Plan | None
    """None where its spec can't be understood."""
    problem: Problem | None
    """What kept its pods from being made as they should be."""
    deployment: Object | None
    ingress: Object | None = None
    route: Condition | None = None

    @property
    def reasons(self) -> set[str]:
        """Why something isn't as it should be."""
        return {said.reason for said in (self.problem, self.route) if said is not None}


class Reconciler:
    """Brings objects to what their spec says, and their status to what is seen."""

    def __init__(
        self,
        observer: Observer,
        mender: Mender,
        attempts: Attempts,
        ledger: LossLedger,
        poller: HealthPoller,
        find_shared_problem: Callable[[str, str], Problem | None],
        settings: Settings,
        ca_bundle: str | None,
        clock: Callable[[], datetime],
    ) -> None:
        self._observer = observer
        self._mender = mender
        self._attempts = attempts
        self._ledger = ledger
        self._poller = poller
        self._find_shared_problem = find_shared_problem
        self._settings = settings
        self._ca_bundle = ca_bundle
        self._clock = clock
        self._writer = StatusWriter(mender)
        self._failures = Counter[Key]()

    async def reconcile(self, key: Key) -> float | None:
        """Deal with one object; return the seconds after which to look again, or None. Raises what went wrong."""
        body = await self._observer.observe_object(key)
        if body is None or "deletionTimestamp" in body["metadata"]:
            self._forget(key)
            return None
        try:
            made = await self._bring(body, FIRST_SLOT)
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
        signless = RETRY_SECONDS if made.reasons & reasons.SIGNLESS else None
        return decide_wait(signless, self._attempts.take_wait(key))

    def _forget(self, key: Key) -> None:
        self._poller.watch(key, None)
        self._ledger.forget(key)
        self._attempts.forget(key)
        del self._failures[key]

    async def _bring(self, body: Object, slot: str) -> Made:
        identity, classifier, problem = parse_identity(body), None, None
        try:
            classifier = parse_image_classifier(body)
        except SpecError as error:
            problem = Problem(reasons.SPEC_INVALID, str(error))
        world = await self._observer.observe_world(identity, classifier, slot)
        if classifier is None:
            made = Made(None, problem, world.standing)
        else:
            made = await self._make(classifier, slot, world, body.get("status", {}))
        await self._write_status(body, slot, world, made)
        return made

    async def _make(self, classifier: ImageClassifier, slot: str, world: World, status: Object) -> Made:
        identity, children = classifier.identity, world.children
        plan = decide_plan(
            classifier,
            status,
            labels=world.labels,
            standing=world.standing,
            config_maps=children[CONFIG_MAP.name],
            jobs=[*children[JOB.name].values()],
            pods=world.pods,
            claim=world.claim,
        )
        children = await self._observer.observe_named(identity, children, plan.list_names())
        await self._mender.delete_owned(identity, plan.done)
        wish = QuestionWish(plan.classifier, plan.question, self._settings, self._ca_bundle)
        plan = plan.held_back((await self._mender.mend_part(identity, QUESTION, wish, children)).problem)
        pods = await self._make_pods(plan, slot, children)
        route = await self._mender.mend_part(identity, ROUTE, classifier, children)
        ingress = route.live.get(INGRESS.name)
        return Made(
            plan,
            pods.problem,
            pods.live.get(DEPLOYMENT.name, world.standing),
            ingress,
            summarise_route(ingress, route.problem) if ingress or route.problem else None,
        )

    async def _make_pods(self, plan: Plan, slot: str, children: Children) -> Mended:
        if plan.revision is None or plan.problem is not None:
            return Mended({}, plan.problem)
        classifier, revision, identity = plan.classifier, plan.revision, plan.classifier.identity
        config_map = children[CONFIG_MAP.name].get(build_config_map_name(identity, revision.name))
        ca_bundle = read_ca_bundle(config_map, self._ca_bundle)
        template = read_as_built(children[DEPLOYMENT.name].get(build_slot_name(identity, slot)), revision)
        if template is None:
            storage = classifier.spec.storage
            managed = storage.mode == "Managed"
            problem = await self._mender.create_credentials(identity.namespace, storage.name) if managed else None
            if problem is not None:
                return Mended({}, problem)
            template = build_pod_template(classifier, slot, revision, self._settings, ca_bundle)
        wish = PodsWish(classifier, slot, revision, template, ca_bundle)
        return await self._mender.mend_part(identity, PODS, wish, children)

    async def _write_status(self, body: Object, slot: str, world: World, made: Made) -> None:
        identity, previous, plan, now = parse_identity(body), body.get("status", {}), made.plan, self._clock()
        selected = world.select_pods(build_selector(identity, slot))
        if plan and plan.revision:
            used = find_used_revisions(world.replica_sets, selected, world.standing)
            config_maps = world.children[CONFIG_MAP.name].values()
            unused = find_unused_config_maps(identity, [*config_maps], used | {plan.revision.name})
            await self._mender.delete_owned(identity, unused)
        key = Key(identity.namespace, identity.name)
        losses = self._ledger.list_losses(key)
        rollout = decide_rollout(made.deployment if plan and plan.revision else None, world.replica_sets, selected)
        resolved = plan.resolved.render() if plan and plan.resolved else None
        seen = Observation(
            rollout=rollout,
            deployment=made.deployment,
            replicas=plan.classifier.replicas if plan else None,
            revision=plan.revision.name if plan and plan.revision else None,
            problem=made.problem,
            url=build_url(plan.classifier, made.ingress) if plan else previous.get("url"),
            route=made.route,
            sinks=self._summarise_sinks(plan.classifier, rollout, world, previous) if plan else (),
            log=summarise_lost(previous, [*losses.values()]),
            resolved=resolved or (previous.get("resolved") if made.problem else None),
            contests=self._attempts.list_contested(key),
            remark=plan.remark if plan else None,
        )
        if await self._writer.replace_status(body, summarise_status(identity, slot, seen, previous, now), now):
            self._ledger.settle(key, losses)
            for loss in losses.values():
                await self._mender.record_event(identity, describe_loss(loss), now)

    def _summarise_sinks(
        self, classifier: ImageClassifier, rollout: Rollout, world: World, previous: Object
    ) -> tuple[Condition, ...]:
        identity = classifier.identity
        target = decide_target(rollout.current) if classifier.logs else None
        answer = self._poller.watch(Key(identity.namespace, identity.name), target)
        problems = {
            name: self._find_shared_problem(identity.namespace, name) for name in list_managed(classifier).values()
        }
        obstacles = find_obstacles(classifier, world.peers, problems)
        return tuple(summarise_sinks(classifier, answer, obstacles, previous))

    async def _tell_failure(self, body: Object, error: Exception) -> None:
        """Say in status why nothing could be done or seen. What was seen before stays."""
        now = self._clock()
        status = summarise_failed(parse_identity(body), describe_failure(error), body.get("status", {}), now)
        await self._writer.replace_status(body, status, now)
