"""Decide: what is to be made of an object, as far as what was observed says, and what is in the way. No I/O."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from classifier_operator.decide.class_labels import decide_labels
from classifier_operator.decide.log_volume import find_volume_problem
from classifier_operator.decide.model_version import Resolution
from classifier_operator.decide.registry_question import decide_inquiry
from classifier_operator.reasons import ObstacleError, Problem
from classifier_operator.resources.config_map import CONFIG_MAP, build_config_map_name
from classifier_operator.resources.deployment import read_revision
from classifier_operator.resources.kinds import Question
from classifier_operator.resources.resolve_job import JOB, build_resolve_job_name
from classifier_operator.resources.revision import Revision, build_revision
from classifier_operator.spec import ImageClassifier

Object = dict[str, Any]


@dataclass(frozen=True)
class Plan:
    """What an object comes to. Without a revision its pods are left as they are."""

    classifier: ImageClassifier
    """With the version in place of its model's alias, once that is known."""
    revision: Revision | None = None
    problem: Problem | None = None
    """What keeps its pods from being made as they should be."""
    question: Question | None = None
    resolved: Resolution | None = None
    done: tuple[Object, ...] = ()
    """Jobs that nobody waits for any more."""
    remark: str | None = None
    """What else is to be said of what answers."""

    def list_names(self) -> list[tuple[str, str]]:
        """Return the children, by kind and name, whose names follow from the plan."""
        identity, names = self.classifier.identity, list[tuple[str, str]]()
        if self.question is not None:
            names.append((JOB.name, build_resolve_job_name(identity, self.question.request)))
        if self.revision is not None:
            names.append((CONFIG_MAP.name, build_config_map_name(identity, self.revision.name)))
        return names

    def held_back(self, problem: Problem | None) -> "Plan":
        """Return the plan without a revision where what has to be asked first can't be."""
        return self if problem is None else replace(self, revision=None, resolved=None, problem=problem)


def decide_plan(
    classifier: ImageClassifier,
    status: Object,
    *,
    labels: Object | None,
    standing: Object | None,
    config_maps: Mapping[str, Object],
    jobs: list[Object],
    pods: list[Object],
    claim: Object | None,
) -> Plan:
    """Return what the object comes to.

    `labels` is the ConfigMap that model.labels names, `standing` the object's live Deployment, `claim` its log's
    volume; each None where it isn't there. `config_maps` (by name), `jobs` and `pods` have the object's label.
    """
    revision = read_revision(standing) if standing else ""
    config_map = config_maps.get(build_config_map_name(classifier.identity, revision)) if standing else None
    try:
        copied, remark = decide_labels(classifier, labels, (revision, config_map) if config_map else None, status)
    except ObstacleError as obstacle:
        return Plan(classifier, problem=obstacle.problem)
    inquiry = decide_inquiry(classifier, copied, status, jobs, pods)
    plan = Plan(inquiry.classifier, question=inquiry.question, done=inquiry.done, remark=remark)
    if inquiry.problem is not None:
        return replace(plan, problem=inquiry.problem)
    wanted = build_revision(inquiry.classifier, copied)
    volume = classifier.spec.prediction_log.volume if classifier.logs else None
    problem = find_volume_problem(volume.claim, claim, classifier.replicas) if volume else None
    return replace(plan, revision=wanted, resolved=inquiry.found, problem=problem)
