"""What logging predictions adds to the reconciling of an object: what its pods need first, and what is seen of it."""

from typing import Any

from classifier_inference.termination import Lost
from classifier_operator import reasons
from classifier_operator.cluster import Cluster
from classifier_operator.decide import pod_state
from classifier_operator.decide.rollout import Rollout
from classifier_operator.decide.sharing import decide_sharing
from classifier_operator.decide.sink_health import list_sinks, read_loss, summarise_sinks
from classifier_operator.decide.status import Condition
from classifier_operator.key import Key
from classifier_operator.names import CLASSIFIER_LABEL
from classifier_operator.reasons import ObstacleError, Problem
from classifier_operator.reconcile_shared import SharedReconciler, create_credentials
from classifier_operator.sink_poller import HealthPoller, Target
from classifier_operator.spec import KIND, ImageClassifier

Object = dict[str, Any]
MANY_WRITERS = {"ReadWriteMany"}
_REMEMBERED = 10_000


class LogKeeper:
    """Knows of each object's log what the object's own children don't tell."""

    def __init__(self, cluster: Cluster, shared: SharedReconciler, poller: HealthPoller) -> None:
        self._cluster = cluster
        self._shared = shared
        self._poller = poller
        self._losses: dict[Key, dict[str, Lost]] = {}
        self._seen: dict[str, None] = {}

    async def prepare(self, classifier: ImageClassifier) -> None:
        """Make what pods of a new template can't start without. Raises ObstacleError where that can't be."""
        if classifier.spec.storage.mode == "Managed":
            await create_credentials(self._cluster, classifier.identity.namespace, classifier.spec.storage.name)

    async def check_volume(self, classifier: ImageClassifier) -> None:
        """Raise ObstacleError where the log's volume isn't there, or can't be in as many pods as are asked for."""
        volume = classifier.spec.prediction_log.volume
        if not classifier.logs or volume is None:
            return
        claim = await self._cluster.get("PersistentVolumeClaim", classifier.identity.namespace, volume.claim)
        problem = find_volume_problem(volume.claim, claim, classifier.replicas)
        if problem is not None:
            raise ObstacleError(problem)

    async def observe(self, classifier: ImageClassifier, rollout: Rollout, previous: Object) -> tuple[Condition, ...]:
        """Return the conditions of the object's stores."""
        key = Key(classifier.identity.namespace, classifier.identity.name)
        if not classifier.logs:
            self._poller.watch(key, None)
            return ()
        answer = self._poller.watch(key, find_target(rollout))
        return tuple(summarise_sinks(classifier, answer, await self._find_obstacles(classifier), previous))

    def forget(self, key: Key) -> None:
        """Ask for no object that is gone."""
        self._poller.watch(key, None)
        self._losses.pop(key, None)

    def note_pod(self, pod: Object) -> None:
        """Take note of what ended unshipped with a pod, once."""
        loss = read_loss(pod)
        metadata = pod["metadata"]
        if loss is None or metadata["uid"] in self._seen:
            return
        self._seen[metadata["uid"]] = None
        if len(self._seen) > _REMEMBERED:
            del self._seen[next(iter(self._seen))]
        if loss.lost_predictions or loss.lost_images:
            key = Key(metadata["namespace"], metadata["labels"][CLASSIFIER_LABEL])
            self._losses.setdefault(key, {})[metadata["uid"]] = loss

    def list_losses(self, key: Key) -> dict[str, Lost]:
        """Return the losses that status does not count yet, by the pod's uid."""
        return dict(self._losses.get(key, {}))

    def settle(self, key: Key, losses: dict[str, Lost]) -> None:
        """Strike the losses that status counts now."""
        for uid in losses:
            self._losses.get(key, {}).pop(uid, None)

    async def _find_obstacles(self, classifier: ImageClassifier) -> dict[str, Problem]:
        namespace, name, spec = classifier.identity.namespace, classifier.identity.name, classifier.spec
        managed = {
            kind: sink.name
            for kind, sink in ((reasons.TRACKING_READY, spec.tracking), (reasons.STORAGE_READY, spec.storage))
            if sink.mode == "Managed" and kind in list_sinks(classifier)
        }
        if not managed:
            return {}
        sharing = decide_sharing(await self._cluster.find(KIND, namespace))
        found = {
            kind: sharing.conflicts.get((name, kind)) or self._shared.find_problem(namespace, shared)
            for kind, shared in managed.items()
        }
        return {kind: problem for kind, problem in found.items() if problem is not None}


def find_target(rollout: Rollout) -> Target | None:
    """Return the pod of the present template that is asked how the stores are doing, or None where none is ready."""
    for pod in rollout.current:
        address = pod.get("status", {}).get("podIP")
        if pod_state.is_ready(pod) and address:
            return Target(pod["metadata"]["name"], address)
    return None


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
