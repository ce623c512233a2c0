"""Decide: what a Job is to ask MLflow's registry of a model's address, and what becomes of its answer. No I/O."""

from dataclasses import dataclass, replace
from typing import Any

from classifier_inference.spec.uri import ModelsUri
from classifier_operator import reasons
from classifier_operator.decide import failures
from classifier_operator.decide.model_version import Resolution, apply_resolution, find_registered, read_kept, read_note
from classifier_operator.decide.ownership import is_owned
from classifier_operator.names import REQUEST_LABEL
from classifier_operator.reasons import Problem
from classifier_operator.resources.kinds import Question
from classifier_operator.resources.resolve_job import build_resolve_job_name, is_resolve_job
from classifier_operator.resources.revision import build_revision
from classifier_operator.spec import ImageClassifier

Object = dict[str, Any]


@dataclass(frozen=True)
class Inquiry:
    """Where an object's question to the registry stands."""

    classifier: ImageClassifier
    """The object as its pods are to see it, once the answer is there."""
    found: Resolution | None = None
    question: Question | None = None
    """What there is to be a Job for."""
    problem: Problem | None = None
    """Why there is no answer, where one is needed."""
    done: tuple[Object, ...] = ()
    """Jobs that nobody waits for any more."""


def decide_inquiry(
    classifier: ImageClassifier, labels: list[str] | None, status: Object, jobs: list[Object], pods: list[Object]
) -> Inquiry:
    """Return what is known and what is to be asked. An object whose model lies elsewhere needs neither.

    `labels` are those of model.labels.configMap, `jobs` and `pods` what is there with the object's label.
    """
    address = find_registered(classifier)
    request = build_revision(classifier, labels).name if address else ""
    name = build_resolve_job_name(classifier.identity, request)
    asking = [job for job in jobs if is_owned(job, classifier.identity) and is_resolve_job(job)]
    job = next((job for job in asking if address and job["metadata"]["name"] == name), None)
    done = tuple(each for each in asking if each is not job)
    if address is None:
        return Inquiry(classifier, done=done)
    answering = [pod for pod in pods if pod["metadata"].get("labels", {}).get(REQUEST_LABEL) == request]
    kept = read_kept(status, request)
    inquiry = (
        _ask(classifier, address, request, job, answering)
        if kept is None
        else _ask_again(classifier, address, kept, answering)
    )
    return replace(inquiry, done=(*done, *inquiry.done))


def _ask(
    classifier: ImageClassifier, address: ModelsUri, request: str, job: Object | None, answering: list[Object]
) -> Inquiry:
    question = Question(address, request, version_only=False)
    note = read_note(answering)
    if note is not None and note.source is not None and note.sha256 is not None:
        uri = str(address.at(note.version))
        found = Resolution(request, uri, note.version, note.source, note.sha256, note.version)
        return Inquiry(apply_resolution(classifier, address, found), found, question)
    # It asked for the version alone, or its pod is gone, and its answer with it.
    done = (job,) if job is not None and (note is not None or _is_done(job)) else ()
    problem = next(filter(None, map(_find_problem, answering)), None)
    waiting = Problem(reasons.RESOLVING, f"asking MLflow which version {address} stands for")
    return Inquiry(classifier, question=question, problem=problem or waiting, done=done)


def _ask_again(classifier: ImageClassifier, address: ModelsUri, kept: Resolution, answering: list[Object]) -> Inquiry:
    """Return what was found before, with the version that its alias names by now, as far as that is known."""
    if address.alias is None:
        return Inquiry(apply_resolution(classifier, address, kept), kept)
    found = replace(kept, latest=_read_latest(answering, kept.latest))
    question = Question(address, kept.request, version_only=True)
    return Inquiry(apply_resolution(classifier, address, found), found, question)


def _read_latest(answering: list[Object], before: str) -> str:
    """Return which version an alias names by now, empty for none, as far as a Job's pods say; else what was known."""
    note = read_note(answering)
    if note is not None:
        return note.version
    gone = any(problem and problem.reason == reasons.MODEL_NOT_FOUND for problem in map(_find_problem, answering))
    return "" if gone else before


def _find_problem(pod: Object) -> Problem | None:
    """Return what is wrong with a pod, ready or not: that it runs again after a failure mends nothing yet."""
    status = pod.get("status", {})
    conditions = [each for each in status.get("conditions", []) if each["type"] != "Ready"]
    return failures.find_problem(pod | {"status": status | {"conditions": conditions}})


def _is_done(job: Object) -> bool:
    conditions = job.get("status", {}).get("conditions", [])
    return any(each["type"] in {"Complete", "Failed"} and each["status"] == "True" for each in conditions)
