"""Reconcile what the objects of a namespace share, MLflow and MinIO, under a key of their own, from all objects.

As for one object: observe -> decide -> build -> mend. What is wrong is kept, and said in the status of the objects that
it concerns.
"""

from collections.abc import Callable

import structlog

from classifier_operator import reasons
from classifier_operator.api_errors import GoneError
from classifier_operator.attempts import Attempts
from classifier_operator.decide import failures
from classifier_operator.decide.sharing import decide_sharing
from classifier_operator.decide.wait import decide_wait
from classifier_operator.key import Key
from classifier_operator.managed_stores import Minio, Mlflow, Shared
from classifier_operator.mend import Mender
from classifier_operator.names import MANAGED_BY_LABEL, MANAGER, SHARED_LABEL, build_shared_name
from classifier_operator.observe import Observer, SharedWorld
from classifier_operator.reasons import ObstacleError, Problem
from classifier_operator.resources.kinds import SHARED, SharedWish
from classifier_operator.resources.mlflow_server import find_hosts
from classifier_operator.resources.stateful_set import STATEFUL_SET
from classifier_operator.settings import Settings

RETRY_SECONDS = 2.0
_log = structlog.get_logger()


class SharedReconciler:
    """Brings what is shared to what the objects of a namespace want, and keeps what is wrong with it."""

    def __init__(
        self,
        observer: Observer,
        mender: Mender,
        attempts: Attempts,
        settings: Settings,
        ca_bundle: str | None,
        tell: Callable[[str, str], None],
    ) -> None:
        self._observer = observer
        self._mender = mender
        self._attempts = attempts
        self._settings = settings
        self._ca_bundle = ca_bundle
        self._tell = tell
        self._problems: dict[tuple[str, str], Problem] = {}

    def find_problem(self, namespace: str, name: str) -> Problem | None:
        """Return what keeps something shared from running, as far as it was seen."""
        return self._problems.get((namespace, name))

    async def reconcile(self, namespace: str) -> float | None:
        """Deal with one namespace; return the seconds after which to look again, or None. Raises ClusterError."""
        sharing = decide_sharing(await self._observer.observe_objects(namespace))
        try:
            world = await self._observer.observe_shared(namespace, sharing.wanted.values())
            for name, shared in sharing.wanted.items():
                problem = await self._make(namespace, shared, world)
                self._note(namespace, name, problem, sharing.users.get(name, []))
            if sharing.complete:
                await self._delete_unused(namespace, world, set(sharing.wanted))
            if not sharing.wanted:
                self._attempts.forget(Key(namespace))
        except GoneError:
            return None
        problems = (self._problems.get((namespace, name)) for name in sharing.wanted)
        signless = any(problem and problem.reason in reasons.SIGNLESS for problem in problems)
        return decide_wait(RETRY_SECONDS if signless else None, self._attempts.take_wait(Key(namespace)))

    async def _make(self, namespace: str, shared: Shared, world: SharedWorld) -> Problem | None:
        """Make what is wanted of one name; return what is in the way."""
        name = build_shared_name(shared.name)
        live = world.children[STATEFUL_SET.name].get(name)
        found = map(failures.find_problem, world.pods[shared.name])
        problem = next((problem for problem in found if problem is not None), None)
        no_secret = problem is not None and problem.reason == reasons.CREDENTIALS_MISSING
        if isinstance(shared, Minio) and (live is None or no_secret):
            refusal = await self._mender.create_credentials(namespace, shared.name)
            if refusal is not None:
                return refusal
        hosts = find_hosts(shared, world.ingresses) if isinstance(shared, Mlflow) else []
        wish = SharedWish(namespace, shared, hosts, self._settings, self._ca_bundle, live)
        try:
            for row in SHARED:
                await self._mender.mend_shared(row.build(wish), world.children[row.kind.name].get(name))
        except ObstacleError as obstacle:
            return obstacle.problem
        contested = self._attempts.list_contested(Key(namespace), name)
        return problem or (Problem(reasons.CONTESTED, "; ".join(contested)) if contested else None)

    def _note(self, namespace: str, name: str, problem: Problem | None, users: list[str]) -> None:
        key = (namespace, name)
        if self._problems.get(key) == problem:
            return
        if problem is None:
            del self._problems[key]
        else:
            self._problems[key] = problem
            _log.warning("shared", namespace=namespace, name=name, reason=problem.reason, message=problem.message)
        for user in users:
            self._tell(namespace, user)

    async def _delete_unused(self, namespace: str, world: SharedWorld, wanted: set[str]) -> None:
        """Delete what no object names any more, but neither a volume nor a Secret."""
        for row in reversed(SHARED):
            for live in world.children[row.kind.name].values():
                labels = live["metadata"].get("labels", {})
                name = labels.get(SHARED_LABEL)
                if labels.get(MANAGED_BY_LABEL) == MANAGER and name is not None and name not in wanted:
                    self._problems.pop((namespace, name), None)
                    await self._mender.delete(live)
