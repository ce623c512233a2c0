"""Reconcile what the objects of a namespace share: MLflow and MinIO, under a key of their own, from all objects."""

import asyncio
from collections.abc import Callable
from typing import Any

import structlog

from classifier_operator import metrics, reasons
from classifier_operator.api_errors import GoneError
from classifier_operator.attempts import Attempts
from classifier_operator.cluster import Cluster
from classifier_operator.decide import failures
from classifier_operator.decide.sharing import decide_sharing
from classifier_operator.key import Key
from classifier_operator.managed_stores import Minio, Shared
from classifier_operator.mend import Mender, delete, refusals_told
from classifier_operator.names import MANAGED_BY_LABEL, MANAGER, MINIO_PORT, MLFLOW_PORT, SHARED_LABEL
from classifier_operator.reasons import ObstacleError, Problem
from classifier_operator.resources.credentials import build_credentials
from classifier_operator.resources.minio_server import build_minio
from classifier_operator.resources.mlflow_server import build_mlflow, find_hosts
from classifier_operator.resources.shared_service import build_shared_service
from classifier_operator.settings import Settings
from classifier_operator.spec import KIND

Object = dict[str, Any]
KINDS = ("StatefulSet", "Service")
RETRY_SECONDS = 2.0
_log = structlog.get_logger()


class SharedReconciler:
    """Brings what is shared to what the objects of a namespace want, and keeps what is wrong with it."""

    def __init__(
        self,
        cluster: Cluster,
        settings: Settings,
        ca_bundle: str | None,
        attempts: Attempts,
        tell: Callable[[str, str], None],
    ) -> None:
        self._cluster = cluster
        self._settings = settings
        self._ca_bundle = ca_bundle
        self._attempts = attempts
        self._mender = Mender(cluster, attempts)
        self._tell = tell
        self._problems: dict[tuple[str, str], Problem] = {}

    def find_problem(self, namespace: str, name: str) -> Problem | None:
        """Return what keeps something shared from running, as far as it was seen."""
        return self._problems.get((namespace, name))

    async def reconcile(self, namespace: str) -> float | None:
        """Deal with one namespace; return the seconds after which to look again, or None. Raises ClusterError."""
        bodies = await self._cluster.find(KIND, namespace)
        sharing = decide_sharing(bodies)
        try:
            for name, shared in sharing.wanted.items():
                problem = await self._make(namespace, shared)
                self._note(namespace, name, problem, sharing.users.get(name, []))
            if sharing.complete:
                await self._delete_unused(namespace, set(sharing.wanted))
            if not sharing.wanted:
                self._attempts.forget(Key(namespace))
        except GoneError:
            return None
        problems = (self._problems.get((namespace, name)) for name in sharing.wanted)
        if any(problem and problem.reason in reasons.SIGNLESS for problem in problems):
            return RETRY_SECONDS
        return self._attempts.take_wait(Key(namespace))

    async def find_namespaces(self, scope: str) -> set[str]:
        """Return the namespaces in which something shared is, wanted or not; scope "*" means all."""
        labels = {MANAGED_BY_LABEL: MANAGER}
        found = [item for kind in KINDS for item in await self._cluster.find(kind, scope, labels)]
        return {item["metadata"]["namespace"] for item in found if SHARED_LABEL in item["metadata"]["labels"]}

    async def _make(self, namespace: str, shared: Shared) -> Problem | None:
        """Make what is wanted of one name; return what is in the way."""
        metadata = build_shared_service(namespace, shared.name, MLFLOW_PORT)["metadata"]
        stateful_set, service, found = await asyncio.gather(
            self._cluster.get("StatefulSet", namespace, metadata["name"]),
            self._cluster.get("Service", namespace, metadata["name"]),
            self._cluster.find("Pod", namespace, {SHARED_LABEL: shared.name}),
        )
        problem = next((problem for pod in found if (problem := failures.find_problem(pod))), None)
        no_secret = problem is not None and problem.reason == reasons.CREDENTIALS_MISSING
        try:
            if isinstance(shared, Minio):
                if stateful_set is None or no_secret:
                    await create_credentials(self._cluster, namespace, shared.name)
                wanted = build_minio(namespace, shared, self._settings, stateful_set)
                port = MINIO_PORT
            else:
                hosts = find_hosts(shared, await self._cluster.find("Ingress", namespace))
                wanted = build_mlflow(namespace, shared, hosts, self._settings, self._ca_bundle, stateful_set)
                port = MLFLOW_PORT
            await self._mender.mend_shared(build_shared_service(namespace, shared.name, port), service)
            await self._mender.mend_shared(wanted, stateful_set)
        except ObstacleError as obstacle:
            return obstacle.problem
        contested = self._attempts.list_contested(Key(namespace), metadata["name"])
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

    async def _delete_unused(self, namespace: str, wanted: set[str]) -> None:
        """Delete what no object names any more, but neither a volume nor a Secret."""
        for kind in KINDS:
            for item in await self._cluster.find(kind, namespace, {MANAGED_BY_LABEL: MANAGER}):
                name = item["metadata"]["labels"].get(SHARED_LABEL)
                if name is not None and name not in wanted:
                    self._problems.pop((namespace, name), None)
                    await delete(self._cluster, kind, item)


async def create_credentials(cluster: Cluster, namespace: str, name: str) -> None:
    """See to it that a MinIO has credentials: those that are there, or new ones. They are never read.

    Raises ObstacleError where the API server refuses them.
    """
    secret = build_credentials(namespace, name)
    with refusals_told("Secret", secret["metadata"]["name"]):
        created = await cluster.create_secret(secret)
    if created:
        metrics.WRITES.labels("Secret", "create").inc()
        _log.info("created credentials", namespace=namespace, name=name)
