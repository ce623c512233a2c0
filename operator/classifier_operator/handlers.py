"""Kopf's triggers: each puts an object's key into the queue, and does nothing else."""

from collections.abc import Iterator
from itertools import chain, repeat
from typing import Any

import kopf

from classifier_operator.api_kinds import POD, ApiKind
from classifier_operator.controller import Controller
from classifier_operator.names import CLASSIFIER_LABEL, MANAGED_BY_LABEL, MANAGER, SHARED_LABEL
from classifier_operator.resources.ingress import INGRESS
from classifier_operator.resources.kinds import CHILDREN, SHARED
from classifier_operator.resources.mlflow_server import leads_to_shared
from classifier_operator.spec import GROUP, PLURAL, VERSION

_OURS: Any = {MANAGED_BY_LABEL: MANAGER, CLASSIFIER_LABEL: kopf.PRESENT}
_SHARED: Any = {MANAGED_BY_LABEL: MANAGER, SHARED_LABEL: kopf.PRESENT}


class EndlessBackoffs:
    """Seconds between attempts at a request: growing, then the same for ever.

    Kopf iterates them anew for each request, and ends the operator where they end: an API server that is away for a
    while would take the operator with it.
    """

    def __iter__(self) -> Iterator[float]:
        """Return the delays."""
        return chain((1, 2, 3), repeat(5))


def register(controller: Controller) -> kopf.OperatorRegistry:
    """Return Kopf's registry with every trigger wired to the controller."""
    registry = kopf.OperatorRegistry()

    @kopf.on.startup(registry=registry)
    async def start(settings: kopf.OperatorSettings, **_: Any) -> None:
        settings.posting.enabled = False
        settings.scanning.disabled = controller.watches_one_namespace
        settings.watching.server_timeout = 300
        settings.watching.client_timeout = 330
        settings.watching.connect_timeout = 10
        settings.networking.error_backoffs = EndlessBackoffs()
        await controller.start()

    @kopf.on.login(registry=registry)
    def log_in(**arguments: Any) -> kopf.ConnectionInfo | None:
        return kopf.login_with_service_account(**arguments) or kopf.login_with_kubeconfig(**arguments)

    @kopf.on.cleanup(registry=registry)
    async def stop(**_: Any) -> None:
        await controller.stop()

    @kopf.on.event(GROUP, VERSION, PLURAL, registry=registry)
    async def changed(namespace: str | None, name: str | None, body: kopf.Body, **_: Any) -> None:
        controller.trigger(namespace, name)
        spec = body.get("spec") or {}
        if "tracking" in spec or "storage" in spec or body.get("metadata", {}).get("generation", 1) > 1:
            controller.trigger_shared(namespace)

    async def child_changed(namespace: str | None, labels: kopf.Labels, **_: Any) -> None:
        controller.trigger(namespace, labels.get(CLASSIFIER_LABEL))

    async def shared_changed(namespace: str | None, **_: Any) -> None:
        controller.trigger_shared(namespace)

    async def ingress_changed(namespace: str | None, spec: kopf.Spec, **_: Any) -> None:
        if leads_to_shared(spec):
            controller.trigger_shared(namespace)

    async def pod_changed(body: kopf.Body, **_: Any) -> None:
        controller.note_pod(dict(body))

    def on_event(kind: ApiKind, handle: Any, **labels: Any) -> None:
        kopf.on.event(kind.group, kind.version, kind.plural, registry=registry, **labels)(handle)

    on_event(POD, pod_changed, labels=_OURS)
    on_event(INGRESS, ingress_changed)
    for kind in (*(row.kind for row in SHARED), POD):
        on_event(kind, shared_changed, labels=_SHARED)
    for kind in (*(row.kind for row in CHILDREN), POD):
        on_event(kind, child_changed, labels=_OURS)
    return registry
