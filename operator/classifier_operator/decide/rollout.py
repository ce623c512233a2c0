"""Decide: which pods are of the Deployment's template, which are not, and which revision answers. No I/O."""

from dataclasses import dataclass
from typing import Any

from classifier_operator.decide import pod_state
from classifier_operator.names import CLASSIFIER_LABEL, REVISION_LABEL, VERSION_ANNOTATION
from classifier_operator.spec import Identity

HASH_LABEL = "pod-template-hash"


@dataclass(frozen=True)
class ServedModel:
    """The model that answers."""

    revision: str
    version: str
    sha256: str | None


@dataclass(frozen=True)
class Rollout:
    """What the pods of an object are up to."""

    current: tuple[dict[str, Any], ...]
    """Pods of the Deployment's present template that aren't terminating."""
    ready: int
    """How many of these are ready."""
    others_answer: int
    """Other pods that the Service selects, terminating ones included, and whose containers run."""
    others_expected: bool
    """Whether a ReplicaSet of another template still wants pods."""
    served: ServedModel | None
    digests: tuple[str, ...]
    """The digests that the current pods reported, each once, the oldest pod's first."""


def decide_rollout(
    deployment: dict[str, Any] | None, replica_sets: list[dict[str, Any]], selected: list[dict[str, Any]]
) -> Rollout:
    """Return what is going on. `selected` are all pods that match the Service's selector."""
    present = {
        replica_set["metadata"]["uid"]
        for replica_set in replica_sets
        if deployment and _template(replica_set) == deployment["spec"]["template"]
    }
    of_present = [pod for pod in selected if _controller(pod) in present]
    current = sorted(
        (pod for pod in of_present if not pod_state.is_terminating(pod)),
        key=lambda pod: (pod["metadata"]["creationTimestamp"], pod["metadata"]["name"]),
    )
    others = [pod for pod in selected if _controller(pod) not in present]
    digests = dict.fromkeys(digest for pod in current if (digest := pod_state.read_digest(pod)))
    return Rollout(
        current=tuple(current),
        ready=sum(map(pod_state.is_ready, current)),
        others_answer=sum(map(pod_state.has_running_container, others)),
        others_expected=any(
            replica_set["spec"]["replicas"] > 0
            for replica_set in replica_sets
            if replica_set["metadata"]["uid"] not in present
        ),
        served=_find_served(current) or _find_served(others),
        digests=tuple(digests),
    )


def find_used_revisions(
    replica_sets: list[dict[str, Any]], selected: list[dict[str, Any]], standing: dict[str, Any] | None = None
) -> set[str]:
    """Return the revisions that a pod has, or that one may yet come back with. `standing` is the live Deployment."""
    templates = [replica_set["spec"]["template"] for replica_set in replica_sets if replica_set["spec"]["replicas"] > 0]
    # A Deployment that was made a moment ago has no ReplicaSet yet.
    newest = [standing["spec"]["template"]] if standing else []
    carriers = [*templates, *newest, *selected]
    return {carrier["metadata"].get("labels", {}).get(REVISION_LABEL, "") for carrier in carriers}


def find_unused_config_maps(
    identity: Identity, config_maps: list[dict[str, Any]], used: set[str]
) -> list[dict[str, Any]]:
    """Return the ConfigMaps, by their labels, of revisions that no pod has, and that none will come back with."""
    labelled = [(config_map, config_map["metadata"].get("labels", {})) for config_map in config_maps]
    return [
        config_map
        for config_map, labels in labelled
        if labels.get(CLASSIFIER_LABEL) == identity.name and labels.get(REVISION_LABEL) not in used
    ]


def _find_served(candidates: list[dict[str, Any]]) -> ServedModel | None:
    for pod in candidates:
        if pod_state.is_ready(pod):
            metadata = pod["metadata"]
            return ServedModel(
                revision=metadata.get("labels", {}).get(REVISION_LABEL, ""),
                version=metadata.get("annotations", {}).get(VERSION_ANNOTATION, ""),
                sha256=pod_state.read_digest(pod),
            )
    return None


def _template(replica_set: dict[str, Any]) -> dict[str, Any]:
    template: dict[str, Any] = replica_set["spec"]["template"]
    metadata = template["metadata"]
    labels = {name: value for name, value in metadata.get("labels", {}).items() if name != HASH_LABEL}
    return template | {"metadata": metadata | {"labels": labels}}


def _controller(pod: dict[str, Any]) -> str | None:
    owners = pod["metadata"].get("ownerReferences", [])
    return next((owner["uid"] for owner in owners if owner.get("controller")), None)
