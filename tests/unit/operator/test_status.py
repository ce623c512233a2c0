"""What is said of what was seen."""

import copy
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from classifier_inference.report.termination import Lost
from classifier_operator.crd import build_crd, collect_fields
from classifier_operator.decide.losses import summarise_lost
from classifier_operator.decide.model_version import Resolution
from classifier_operator.decide.rollout import decide_rollout, find_used_revisions
from classifier_operator.decide.status import Condition, Observation, find_condition, summarise_status
from classifier_operator.names import FIRST_SLOT
from classifier_operator.reasons import Problem
from tests.unit.operator.objects import classifier_of

NOW = datetime(2030, 1, 1, tzinfo=UTC)
IDENTITY = classifier_of().identity
LOST = Lost(lost_predictions=2, lost_images=1)
FETCHED = json.dumps({"sha256": "a" * 64, "bytes": 5})


def template_of(revision: str) -> dict[str, Any]:
    return {"metadata": {"labels": {"imageclassifier.dev/revision": revision}}, "spec": {"containers": []}}


def replica_set_of(revision: str, replicas: int) -> dict[str, Any]:
    template = copy.deepcopy(template_of(revision))
    template["metadata"]["labels"]["pod-template-hash"] = f"h{revision}"
    return {"metadata": {"uid": f"rs-{revision}"}, "spec": {"replicas": replicas, "template": template}}


def container_state(running: bool) -> dict[str, Any]:
    return {"running": {}} if running else {"terminated": {"exitCode": 0}}


def pod_of(revision: str, *, ready: bool = True, running: bool = True, **more: Any) -> dict[str, Any]:
    return {
        "metadata": {
            "name": f"pod-{revision}",
            "creationTimestamp": "2030-01-01T00:00:00Z",
            "ownerReferences": [{"uid": f"rs-{revision}", "controller": True}],
            "labels": {"imageclassifier.dev/revision": revision},
            "annotations": {"imageclassifier.dev/model-version": f"v{revision}"},
            **more,
        },
        "status": {
            "conditions": [{"type": "Ready", "status": str(ready)}],
            "initContainerStatuses": [
                {"name": "fetch", "image": "s", "state": {"terminated": {"exitCode": 0, "message": FETCHED}}}
            ],
            "containerStatuses": [
                {
                    "name": "server",
                    "image": "s",
                    "state": {"running": {}} if running else {"terminated": {"exitCode": 0}},
                }
            ],
        },
    }


def failing(container: dict[str, Any], kind: str = "containerStatuses") -> dict[str, Any]:
    pod = pod_of("2", ready=False, running=False)
    pod["status"] |= {"initContainerStatuses": [], "containerStatuses": []}
    pod["status"][kind] = [{"name": "server", "image": "img:1"} | container]
    return pod


def ended(message: str, **more: Any) -> dict[str, Any]:
    terminated = {"exitCode": 1, "message": message, **more}
    return {"state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": {"terminated": terminated}}


def copying(name: str, message: str, **more: Any) -> dict[str, Any]:
    return failing({"name": name} | ended(message, **more), "initContainerStatuses")


def waiting(reason: str, message: str) -> dict[str, Any]:
    return failing({"state": {"waiting": {"reason": reason, "message": message}}})


def unscheduled(message: str) -> dict[str, Any]:
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    return {"metadata": pod_of("2")["metadata"], "status": {"conditions": [condition]}}


RESOLVED = Resolution("r", "models:/photos/3", "3", "s3://models/m", "a" * 64, "4").render()


def status_of(
    pods: list[dict[str, Any]],
    *,
    replica_sets: list[dict[str, Any]] | None = None,
    replicas: int | None = 1,
    problem: Problem | None = None,
    previous: dict[str, Any] | None = None,
    conditions: list[dict[str, Any]] | None = None,
    now: datetime = NOW,
    route: Condition | None = None,
) -> dict[str, Any]:
    deployment = {
        "spec": {"template": template_of("2")},
        "status": {"replicas": len(pods), "conditions": conditions or []},
    }
    sets = replica_sets if replica_sets is not None else [replica_set_of("1", 0), replica_set_of("2", 1)]
    rollout = decide_rollout(deployment, sets, pods)
    seen = Observation(rollout, deployment, replicas, "2", problem, "http://photos.team.svc", route)
    return summarise_status(IDENTITY, FIRST_SLOT, seen, previous or {}, now)


def ready_of(status: dict[str, Any]) -> tuple[str, str]:
    condition = find_condition(status, "Ready")
    assert condition is not None
    return condition["status"], condition["reason"]


def test_a_ready_pod_of_the_present_template_makes_it_ready() -> None:
    status = status_of([pod_of("2")])
    assert ready_of(status) == ("True", "Answering")
    assert status["model"] == {"version": "v2", "revision": "2", "sha256": "a" * 64}
    assert status["observedGeneration"] == 4
    assert all(condition["observedGeneration"] == 4 for condition in status["conditions"])


@pytest.mark.parametrize(
    "other",
    [
        pod_of("1"),
        pod_of("1", ready=False),
        pod_of("1", deletionTimestamp="2030-01-01T00:00:00Z"),
        pod_of("stray", ownerReferences=[]),
    ],
    ids=["ready", "unready", "terminating", "nobody's"],
)
def test_not_ready_while_any_other_pod_could_answer(other: dict[str, Any]) -> None:
    assert ready_of(status_of([pod_of("2"), other])) == ("False", "RollingOut")


def test_ready_once_the_last_other_pod_has_no_running_container() -> None:
    gone = pod_of("1", running=False, ready=False, deletionTimestamp="2030-01-01T00:00:00Z")
    assert ready_of(status_of([pod_of("2"), gone])) == ("True", "Answering")


def test_not_ready_while_another_replica_set_wants_pods() -> None:
    sets = [replica_set_of("1", 1), replica_set_of("2", 1)]
    assert ready_of(status_of([pod_of("2")], replica_sets=sets)) == ("False", "RollingOut")


def test_a_terminating_pod_of_the_present_template_is_not_counted_as_ready() -> None:
    assert ready_of(status_of([pod_of("2", deletionTimestamp="2030-01-01T00:00:00Z")])) == ("False", "Starting")


def test_scaled_to_zero_says_so() -> None:
    assert ready_of(status_of([], replicas=0)) == ("False", "ScaledToZero")


def test_the_old_revision_is_named_while_it_answers_and_the_new_one_fails() -> None:
    note = json.dumps({"reason": "LabelsMismatch", "message": "3 labels, 1000 outputs"})
    status = status_of(
        [pod_of("1"), failing(ended(note))], replica_sets=[replica_set_of("1", 1), replica_set_of("2", 1)]
    )
    assert ready_of(status) == ("False", "LabelsMismatch")
    assert find_condition(status, "ModelServed")["status"] == "True"  # type: ignore[index]
    assert status["model"]["version"] == "v1"
    assert status["lastFailure"] == {
        "reason": "LabelsMismatch",
        "message": "3 labels, 1000 outputs",
        "time": "2030-01-01T00:00:00Z",
    }


@pytest.mark.parametrize(
    ("pod", "reason", "words"),
    [
        (waiting("ErrImagePull", "no such tag"), "ImagePullFailed", "img:1: no such tag"),
        (waiting("CreateContainerConfigError", "no config"), "ContainerNotStarted", "no config"),
        (waiting("CreateContainerConfigError", 'secret "reader" not found'), "CredentialsMissing", "reader"),
        (
            waiting("CreateContainerConfigError", "couldn't find key accessKeyId in Secret team/reader"),
            "CredentialsMissing",
            "accessKeyId",
        ),
        (failing(ended("Traceback")), "ServerCrashed", "server ended with status 1: Traceback"),
        (failing(ended("", reason="OOMKilled")), "OutOfMemory", "resources.limits.memory"),
        (copying("model", "cp: cannot stat '/m'"), "ModelNotFound", "cannot stat"),
        (copying("labels", ""), "LabelsNotFound", "img:1"),
        (copying("selftest-0", ""), "SelfTestImageNotFound", "img:1"),
        (copying("model", 'exec: "cp": not found', reason="StartError"), "ImageHasNoCp", "img:1"),
        (unscheduled("0/2 nodes: Insufficient nvidia.com/gpu"), "Unschedulable", "Insufficient nvidia.com/gpu"),
    ],
)
def test_what_a_user_can_mend_is_named(pod: dict[str, Any], reason: str, words: str) -> None:
    status = status_of([pod])
    assert ready_of(status) == ("False", reason)
    assert words in status["lastFailure"]["message"]


def test_pods_that_a_quota_forbids_are_named() -> None:
    forbidden = [{"type": "ReplicaFailure", "status": "True", "message": "exceeded quota"}]
    assert ready_of(status_of([], conditions=forbidden)) == ("False", "PodsForbidden")


def test_what_kept_the_children_from_being_made_comes_first() -> None:
    status = status_of([pod_of("2")], problem=Problem("NameTaken", "a Service named photos exists"))
    assert ready_of(status) == ("False", "NameTaken")
    assert find_condition(status, "ModelServed")["status"] == "True"  # type: ignore[index]


def test_a_pod_with_another_digest_than_the_first_is_named() -> None:
    other = pod_of("2", name="pod-3")
    other["status"]["initContainerStatuses"][0]["state"]["terminated"]["message"] = json.dumps(
        {"sha256": "b" * 64, "bytes": 5}
    )
    assert ready_of(status_of([pod_of("2"), other], replicas=2)) == ("False", "ModelDiffers")
    before = status_of([pod_of("2")])
    after = status_of([other], previous=before)
    assert ready_of(after) == ("False", "ModelDiffers")
    assert after["model"]["sha256"] == "a" * 64


def test_nothing_changes_when_nothing_changed_but_the_time() -> None:
    before = status_of([pod_of("2")])
    assert status_of([pod_of("2")], previous=before, now=NOW + timedelta(hours=1)) == before


def test_a_transition_has_the_time_it_was_seen_and_the_last_failure_stays() -> None:
    before = status_of([failing(ended("x"))])
    after = status_of([pod_of("2")], previous=before, now=NOW + timedelta(hours=1))
    assert find_condition(after, "Ready")["lastTransitionTime"] == "2030-01-01T01:00:00Z"  # type: ignore[index]
    assert after["lastFailure"] == before["lastFailure"]


def test_the_crd_has_every_field_of_a_status() -> None:
    """The API server drops what the CRD has not, and the status would be written again and again."""
    schema = build_crd({})["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"]
    before = status_of([failing(ended("x"))])
    status = status_of([pod_of("2")], previous=before) | {"log": summarise_lost({}, [LOST]), "resolved": RESOLVED}
    assert paths_of(status) == collect_fields(schema)


def paths_of(value: Any, path: str = "") -> set[str]:
    if isinstance(value, list):
        return {where for item in value for where in paths_of(item, f"{path}[]")}
    if not isinstance(value, dict):
        return set()
    here = {f"{path}.{name}" if path else name: child for name, child in value.items()}
    return set(here) | {where for name, child in here.items() for where in paths_of(child, name)}


def test_an_alias_that_moved_is_named_beside_the_version_that_answers() -> None:
    rollout = decide_rollout(None, [replica_set_of("2", 1)], [pod_of("2")])
    seen = Observation(rollout, None, 1, "2", None, None, None, resolved=RESOLVED)
    status = summarise_status(IDENTITY, FIRST_SLOT, seen, {}, NOW)
    served = find_condition(status, "ModelServed")
    assert served is not None
    assert served["message"].startswith("version v2 answers; the alias names version 4 by now")
    assert status["resolved"]["version"] == "3"


def test_what_is_to_be_said_of_what_answers_is_said_there() -> None:
    rollout = decide_rollout(None, [replica_set_of("2", 1)], [pod_of("2")])
    seen = Observation(rollout, None, 1, "2", None, None, None, resolved=RESOLVED, remark="the labels are kept")
    served = find_condition(summarise_status(IDENTITY, FIRST_SLOT, seen, {}, NOW), "ModelServed")
    assert served is not None
    assert served["message"].endswith("takes; the labels are kept")


def test_asking_the_registry_is_no_failure() -> None:
    status = status_of([pod_of("1")], problem=Problem("Resolving", "asking MLflow"))
    assert ready_of(status) == ("False", "Resolving")
    assert "lastFailure" not in status


def test_progressing_counts_the_ready_replicas() -> None:
    condition = find_condition(status_of([pod_of("2")], replicas=2), "Progressing")
    assert condition is not None
    assert (condition["status"], condition["message"]) == ("False", "1 of 2 replicas ready")


@pytest.mark.parametrize("replica", ["forbidden", "unschedulable"])
def test_progressing_says_why_a_replica_is_missing_while_others_answer(replica: str) -> None:
    forbidden = [{"type": "ReplicaFailure", "status": "True", "message": "exceeded quota"}]
    pods, conditions = ([pod_of("2")], forbidden) if replica == "forbidden" else (
        [pod_of("2"), unscheduled("Insufficient cpu")], None,
    )  # fmt: skip
    status = status_of(pods, replicas=2, conditions=conditions)
    assert ready_of(status) == ("True", "Answering")
    found = find_condition(status, "Progressing")
    assert found is not None
    assert (found["status"], found["reason"]) in {("False", "PodsForbidden"), ("False", "Unschedulable")}
    assert found["message"].startswith("1 of 2 replicas ready; ")


def test_an_unreadable_spec_leaves_what_answers_named() -> None:
    rollout = decide_rollout(None, [replica_set_of("2", 1)], [pod_of("2")])
    seen = Observation(rollout, None, None, None, Problem("SpecInvalid", "spec.topK: no"), None, None)
    status = summarise_status(IDENTITY, FIRST_SLOT, seen, {}, NOW)
    assert ready_of(status) == ("False", "SpecInvalid")
    assert status["model"]["version"] == "v2"


def test_revisions_are_in_use_while_a_pod_has_them_or_may_come_back_with_them() -> None:
    sets = [replica_set_of("1", 1), replica_set_of("2", 0)]
    assert find_used_revisions(sets, [pod_of("3")]) == {"1", "3"}
