"""Decide: why something is not as it should be, in words that a user can act on. No I/O."""

import re
from typing import Any

from classifier_inference.report.termination import Failure, parse_termination
from classifier_operator import reasons
from classifier_operator.api_errors import ClusterError
from classifier_operator.decide.pod_state import Pod, is_ready, list_states
from classifier_operator.reasons import Problem

FIRST_TOLD = 4
"""Of failures in a row, the fourth, eighth, sixteenth … is told in status: fewer may be a moment's."""
_MESSAGE_LIMIT = 1024
_IMAGE_PULL = {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "RegistryUnavailable"}
_NOT_STARTED = {"CreateContainerError", "RunContainerError", "CreateContainerConfigError", "StartError"}
_NO_SECRET = re.compile(r'secrets? "[^"]+" not found|couldn\'t find key \S+ in Secret ')
"""The kubelet's words where an environment variable comes from a Secret or a key that isn't there."""
_NO_PROGRAM = re.compile(r'exec: "cp":|executable file not found')


def find_problem(pod: Pod) -> Problem | None:
    """Return why the pod is not ready, as far as a user can do something about it, or None."""
    if is_ready(pod):
        return None
    status = pod.get("status", {})
    for condition in status.get("conditions", []):
        if condition["type"] == "PodScheduled" and condition.get("reason") == "Unschedulable":
            return Problem(reasons.UNSCHEDULABLE, condition.get("message", "no node takes the pod"))
    for container in [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]:
        problem = _find_container_problem(container)
        if problem is not None:
            return problem
    if status.get("phase") == "Failed":
        return Problem(reasons.POD_FAILED, f"{status.get('reason', 'Failed')}: {status.get('message', '')}")
    return None


def find_replica_failure(deployment: dict[str, Any] | None) -> Problem | None:
    """Return why a Deployment can't have its pods made, or None."""
    for condition in (deployment or {}).get("status", {}).get("conditions", []):
        if condition["type"] == "ReplicaFailure" and condition["status"] == "True":
            return Problem(reasons.PODS_FORBIDDEN, condition["message"])
    return None


def is_told(count: int) -> bool:
    """Return whether status tells of so many failures in a row: ever more rarely, since each write is a trigger."""
    return count >= FIRST_TOLD and count & (count - 1) == 0


def describe_failure(error: Exception) -> Problem:
    """Return what status says of what nobody reckoned with: the API server's words, but of others the name alone."""
    name = type(error).__name__
    message = str(error) if isinstance(error, ClusterError) else f"{name}: the operator's log says more"
    return Problem(reasons.RECONCILE_FAILED, message[:_MESSAGE_LIMIT])


def _find_container_problem(container: dict[str, Any]) -> Problem | None:
    waiting = container.get("state", {}).get("waiting", {})
    name, image = container["name"], container["image"]
    message = waiting.get("message", "")
    if waiting.get("reason") in _IMAGE_PULL:
        return Problem(reasons.IMAGE_PULL_FAILED, f"{name}: image {image}: {message or waiting['reason']}")
    if waiting.get("reason") in _NOT_STARTED:
        return _describe_unstarted(name, image, message)
    for state in list_states(container):
        terminated = state.get("terminated")
        if terminated and terminated.get("exitCode") != 0:
            return _describe_termination(name, image, terminated)
    return None


def _describe_termination(name: str, image: str, terminated: dict[str, Any]) -> Problem:
    message = (terminated.get("message") or "").strip()
    note = parse_termination(message)
    if isinstance(note, Failure):
        return Problem(note.reason, note.message)
    if terminated.get("reason") == "OOMKilled":
        return Problem(reasons.OUT_OF_MEMORY, f"{name} was killed for memory: raise runtime.resources.limits.memory")
    if terminated.get("reason") in _NOT_STARTED:
        return _describe_unstarted(name, image, message)
    if name in _COPIES or name.startswith("selftest-"):
        return Problem(_COPIES.get(name, reasons.SELF_TEST_IMAGE_NOT_FOUND), f"image {image}: {message or 'cp failed'}")
    return Problem(
        reasons.SERVER_CRASHED, f"{name} ended with status {terminated.get('exitCode')}: {message or 'see its log'}"
    )


def _describe_unstarted(name: str, image: str, message: str) -> Problem:
    if name not in {"fetch", "server"} and _NO_PROGRAM.search(message):
        return Problem(reasons.IMAGE_HAS_NO_CP, f"image {image} has no cp, by which its files are copied: add one")
    reason = reasons.CREDENTIALS_MISSING if _NO_SECRET.search(message) else reasons.CONTAINER_NOT_STARTED
    return Problem(reason, f"{name}: {message}")


_COPIES = {"model": reasons.MODEL_NOT_FOUND, "labels": reasons.LABELS_NOT_FOUND}
