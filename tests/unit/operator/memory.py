"""A cluster in memory, that keeps what is applied and fails where it is told to."""

import copy
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, cast

from classifier_operator.attempts import Attempts
from classifier_operator.cluster import Cluster
from classifier_operator.key import Key
from classifier_operator.loss_ledger import LossLedger
from classifier_operator.mend import Mender
from classifier_operator.observe import Observer
from classifier_operator.reconcile import Reconciler
from classifier_operator.sink_poller import HealthPoller
from classifier_operator.spec import KIND
from tests.unit.operator.objects import SETTINGS

Object = dict[str, Any]
KEY = Key("team", "photos")


class Memory:
    """Keeps objects by kind and name; `fails` is asked before each call what it is to raise."""

    def __init__(self, *objects: Object) -> None:
        self.objects = {(each["kind"], each["metadata"]["name"]): each for each in objects}
        self.events: list[Object] = []
        self.statuses = 0
        self.now = 0.0
        self.fails: Callable[[str, str], Exception | None] = lambda _verb, _kind: None

    @property
    def status(self) -> Object:
        found: Object = self.objects[KIND, KEY.name].get("status", {})
        return found

    async def get(self, kind: str, _namespace: str, name: str) -> Object | None:
        self._fail("get", kind)
        return copy.deepcopy(self.objects.get((kind, name)))

    async def find(self, kind: str, _namespace: str, labels: Mapping[str, str] | None = None) -> list[Object]:
        self._fail("find", kind)
        wanted = (labels or {}).items()
        # The items of a list don't say what they are.
        return [
            {field: copy.deepcopy(value) for field, value in each.items() if field not in {"apiVersion", "kind"}}
            for (of, _), each in self.objects.items()
            if of == kind and wanted <= each["metadata"].get("labels", {}).items()
        ]

    async def apply(self, manifest: Object) -> Object:
        self._fail("apply", manifest["kind"])
        self.objects[manifest["kind"], manifest["metadata"]["name"]] = copy.deepcopy(manifest)
        return copy.deepcopy(manifest)

    async def delete(self, live: Object) -> None:
        self._fail("delete", live["kind"])
        del self.objects[live["kind"], live["metadata"]["name"]]

    async def replace_status(self, body: Object, status: Object) -> None:
        self._fail("status", KIND)
        self.statuses += 1
        self.objects[KIND, body["metadata"]["name"]]["status"] = copy.deepcopy(status)

    async def create_event(self, event: Object) -> None:
        self._fail("create", "Event")
        self.events.append(event)

    async def create_secret(self, secret: Object) -> bool:
        self._fail("create", "Secret")
        self.objects["Secret", secret["metadata"]["name"]] = secret
        return True

    def _fail(self, verb: str, kind: str) -> None:
        error = self.fails(verb, kind)
        if error is not None:
            raise error


def reconciler_of(memory: Memory) -> Reconciler:
    """Return a reconciler of such a cluster."""
    cluster, attempts = cast("Cluster", memory), Attempts(lambda: memory.now)
    return Reconciler(
        Observer(cluster),
        Mender(cluster, attempts),
        attempts,
        LossLedger(),
        HealthPoller(lambda _key: None),
        lambda _namespace, _name: None,
        SETTINGS,
        None,
        clock=lambda: datetime(2030, 1, 1, tzinfo=UTC),
    )
