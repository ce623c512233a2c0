"""Decide: whose a live object is, and what that keeps from being done with it. No I/O."""

from typing import Any

from classifier_operator import reasons
from classifier_operator.names import MANAGED_BY_LABEL, SHARED_LABEL
from classifier_operator.reasons import Problem
from classifier_operator.spec import KIND, Identity

Object = dict[str, Any]


def is_owned(live: Object, identity: Identity) -> bool:
    """Return whether the object is the child's controlling owner."""
    return _controller(live).get("uid") == identity.uid


def find_child_obstacle(live: Object, identity: Identity) -> Problem | None:
    """Return why a live object of a child's name can't be made that child, or None."""
    owner = _controller(live)
    name = live["metadata"]["name"]
    if owner.get("uid") != identity.uid:
        if owner.get("kind") == KIND and owner.get("name") == identity.name:
            message = f"{name} of an earlier {KIND} of this name is still being deleted"
            return Problem(reasons.WAITING_FOR_DELETION, message)
        holder = f"{owner['kind']} {owner['name']}" if owner else "nobody"
        message = f"a {live.get('kind', 'child')} named {name} exists and belongs to {holder}: rename or delete one"
        return Problem(reasons.NAME_TAKEN, message)
    return _find_deletion(live)


def find_shared_obstacle(live: Object, wanted: Object) -> Problem | None:
    """Return why a live object can't be made what is shared, or None. It has no owner: its labels say whose it is."""
    name, labels = live["metadata"]["name"], live["metadata"].get("labels", {})
    if any(labels.get(label) != wanted["metadata"]["labels"][label] for label in (MANAGED_BY_LABEL, SHARED_LABEL)):
        message = f"a {wanted['kind']} named {name} exists that is not the operator's: delete it"
        return Problem(reasons.NAME_TAKEN, message)
    return _find_deletion(live)


def _find_deletion(live: Object) -> Problem | None:
    if "deletionTimestamp" not in live["metadata"]:
        return None
    return Problem(reasons.WAITING_FOR_DELETION, f"{live['metadata']['name']} is being deleted")


def _controller(live: Object) -> Object:
    owners: list[Object] = live["metadata"].get("ownerReferences", [])
    return next((owner for owner in owners if owner.get("controller")), {})
