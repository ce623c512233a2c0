"""Write an object's status where it differs; tell of what is new in it by Events, and in the operator's own log."""

from datetime import datetime
from typing import Any

import structlog

from classifier_operator.decide.status import find_new_contest, find_new_readiness
from classifier_operator.mend import Mender
from classifier_operator.spec import parse_identity

Object = dict[str, Any]
_log = structlog.get_logger()


class StatusWriter:
    """Writes status through a Mender."""

    def __init__(self, mender: Mender) -> None:
        self._mender = mender

    async def replace_status(self, body: Object, status: Object, now: datetime) -> bool:
        """Write a status that differs from the one before, and tell of what is new in it; return whether it did."""
        identity, previous = parse_identity(body), body.get("status", {})
        if status == previous:
            return False
        await self._mender.replace_status(body, status)
        readiness = find_new_readiness(previous, status)
        if readiness is not None:
            _log.info(
                "readiness changed",
                namespace=identity.namespace,
                name=identity.name,
                ready=readiness["status"],
                reason=readiness["reason"],
                message=readiness["message"],
            )
        for condition in filter(None, (readiness, find_new_contest(previous, status))):
            await self._mender.record_event(identity, condition, now)
        return True
