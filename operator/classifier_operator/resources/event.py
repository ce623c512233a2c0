"""The Kubernetes Events that `kubectl describe` shows: readiness that changed, mends undone, predictions lost."""

from datetime import datetime
from typing import Any

from classifier_operator.api_kinds import ApiKind
from classifier_operator.names import API_VERSION, MANAGER
from classifier_operator.spec import KIND, Identity

EVENT = ApiKind("Event", "", "v1", "events")


def build_event(identity: Identity, condition: dict[str, Any], now: datetime) -> dict[str, Any]:
    """Return the Event that tells of a condition, or of what is told like one."""
    moment = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"generateName": f"{identity.name}.", "namespace": identity.namespace},
        "involvedObject": {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "namespace": identity.namespace,
            "name": identity.name,
            "uid": identity.uid,
        },
        "type": "Normal" if condition["status"] == "True" else "Warning",
        "reason": condition["reason"],
        "message": condition["message"][:1024],
        "source": {"component": MANAGER},
        "firstTimestamp": moment,
        "lastTimestamp": moment,
        "count": 1,
    }
