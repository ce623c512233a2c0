"""What a pod is up to, by its status. No I/O."""

from typing import Any

from classifier_inference.report.termination import Fetched, parse_termination

Pod = dict[str, Any]


def is_ready(pod: Pod) -> bool:
    """Return whether the Service sends requests there."""
    conditions = pod.get("status", {}).get("conditions", [])
    ready = any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)
    return ready and not is_terminating(pod)


def is_terminating(pod: Pod) -> bool:
    """Return whether the pod has been deleted and is still there."""
    return "deletionTimestamp" in pod["metadata"]


def has_running_container(pod: Pod) -> bool:
    """Return whether something runs in the pod, init containers aside, that could answer."""
    return any("running" in status.get("state", {}) for status in pod.get("status", {}).get("containerStatuses", []))


def read_digest(pod: Pod) -> str | None:
    """Return the SHA-256 (hex) of the model that the pod fetched, or None while it has not."""
    for status in pod.get("status", {}).get("initContainerStatuses", []):
        for state in list_states(status):
            note = parse_termination(state.get("terminated", {}).get("message") or "")
            if isinstance(note, Fetched):
                return note.sha256
    return None


def list_states(container: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the present state of a container, by its status, and the one before."""
    return [container.get("state", {}), container.get("lastState", {})]
