"""Have a Job ask MLflow's registry what a model's address stands for, and keep what it found."""

from typing import Any

from classifier_inference.uri import ModelsUri
from classifier_operator import reasons
from classifier_operator.cluster import Cluster
from classifier_operator.decide import failures
from classifier_operator.decide.model_version import Resolution, apply_resolution, find_registered, read_kept, read_note
from classifier_operator.mend import Mender, delete, is_owned
from classifier_operator.names import CLASSIFIER_LABEL, REQUEST_LABEL
from classifier_operator.reasons import ObstacleError, Problem
from classifier_operator.resources.resolve_job import build_resolve_job, build_resolve_job_name
from classifier_operator.resources.revision import build_revision
from classifier_operator.settings import Settings
from classifier_operator.spec import Identity, ImageClassifier

Object = dict[str, Any]


class Resolver:
    """Turns addresses in MLflow's registry into versions, once a revision."""

    def __init__(self, cluster: Cluster, mender: Mender, settings: Settings, ca_bundle: str | None) -> None:
        self._cluster = cluster
        self._mender = mender
        self._settings = settings
        self._ca_bundle = ca_bundle

    async def resolve(
        self, classifier: ImageClassifier, labels: list[str] | None, status: Object
    ) -> tuple[ImageClassifier, Resolution | None]:
        """Return the object as its pods are to see it, and what was found; the object itself where there is no need.

        `labels` are those of model.labels.configMap. Raises ObstacleError while nothing is found.
        """
        address = find_registered(classifier)
        request = build_revision(classifier, labels).name if address else ""
        job = await self._find_job(classifier.identity, request)
        if address is None:
            return classifier, None
        kept = read_kept(status, request)
        if kept is None:
            found = await self._ask(classifier, address, request, job)
        else:
            found = await self._ask_again(classifier, address, kept, job)
        return apply_resolution(classifier, address, found), found

    async def _ask(
        self, classifier: ImageClassifier, address: ModelsUri, request: str, job: Object | None
    ) -> Resolution:
        await self._ensure_job(classifier, address, request, job, version_only=False)
        found = await self._find_pods(classifier.identity, request)
        note = read_note(found)
        if note is not None and note.source is not None and note.sha256 is not None:
            uri = str(address.at(note.version))
            return Resolution(request, uri, note.version, note.source, note.sha256, note.version)
        if job is not None and (note is not None or _is_done(job)):
            # It asked for the version alone, or its pod is gone, and its answer with it.
            await delete(self._cluster, "Job", job)
        problem = next(filter(None, map(_find_problem, found)), None)
        raise ObstacleError(problem or Problem(reasons.RESOLVING, f"asking MLflow which version {address} stands for"))

    async def _ask_again(
        self, classifier: ImageClassifier, address: ModelsUri, kept: Resolution, job: Object | None
    ) -> Resolution:
        """Return what was found before, with the version that its alias names by now, as far as that is known."""
        if address.alias is None:
            return kept
        await self._ensure_job(classifier, address, kept.request, job, version_only=True)
        found = await self._find_pods(classifier.identity, kept.request)
        latest = _read_latest(found, kept.latest)
        return Resolution(kept.request, kept.uri, kept.version, kept.source, kept.sha256, latest)

    async def _ensure_job(
        self, classifier: ImageClassifier, address: ModelsUri, request: str, job: Object | None, *, version_only: bool
    ) -> None:
        if job is not None:
            return
        wanted = build_resolve_job(
            classifier, address, request, self._settings, self._ca_bundle, version_only=version_only
        )
        identity = classifier.identity
        live = await self._cluster.get("Job", identity.namespace, wanted["metadata"]["name"])
        if live is None or not is_owned(live, identity):
            await self._mender.mend(identity, wanted, live)

    async def _find_job(self, identity: Identity, request: str) -> Object | None:
        """Return the Job of a request; delete those of others, which nobody waits for any more."""
        found = None
        for job in await self._cluster.find("Job", identity.namespace, {CLASSIFIER_LABEL: identity.name}):
            if not is_owned(job, identity):
                continue
            if request and job["metadata"]["name"] == build_resolve_job_name(identity, request):
                found = job
            else:
                await delete(self._cluster, "Job", job)
        return found

    async def _find_pods(self, identity: Identity, request: str) -> list[Object]:
        labels = {CLASSIFIER_LABEL: identity.name, REQUEST_LABEL: request}
        return await self._cluster.find("Pod", identity.namespace, labels)


def _read_latest(found: list[Object], before: str) -> str:
    """Return which version an alias names by now, empty for none, as far as a Job's pods say; else what was known."""
    note = read_note(found)
    if note is not None:
        return note.version
    gone = any(problem and problem.reason == reasons.MODEL_NOT_FOUND for problem in map(_find_problem, found))
    return "" if gone else before


def _find_problem(pod: Object) -> Problem | None:
    """Return what is wrong with a pod, ready or not: that it runs again after a failure mends nothing yet."""
    status = pod.get("status", {})
    conditions = [each for each in status.get("conditions", []) if each["type"] != "Ready"]
    return failures.find_problem(pod | {"status": status | {"conditions": conditions}})


def _is_done(job: Object) -> bool:
    conditions = job.get("status", {}).get("conditions", [])
    return any(each["type"] in {"Complete", "Failed"} and each["status"] == "True" for each in conditions)
