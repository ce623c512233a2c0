"""The one place that talks to the API server. Objects are plain dicts, as they travel."""

import json
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import httpx2
from lightkube import AsyncClient, KubeConfig
from lightkube.config import client_adapter
from lightkube.core.exceptions import ApiError
from lightkube.generic_resource import create_namespaced_resource
from lightkube.types import CascadeType, PatchType

from classifier_operator.api_errors import ClusterError, ConflictError, GoneError, UnknownKindError
from classifier_operator.api_kinds import IMAGE_CLASSIFIER, PERSISTENT_VOLUME_CLAIM, POD, REPLICA_SET
from classifier_operator.names import API_VERSION, MANAGER
from classifier_operator.resources.credentials import SECRET
from classifier_operator.resources.event import EVENT
from classifier_operator.resources.kinds import CHILDREN, SHARED
from classifier_operator.spec import KIND

Object = dict[str, Any]
T = TypeVar("T")
_OTHERS = (IMAGE_CLASSIFIER, PERSISTENT_VOLUME_CLAIM, POD, REPLICA_SET, SECRET, EVENT)
_RESOURCES: dict[str, Any] = {
    kind.name: create_namespaced_resource(kind.group, kind.version, kind.name, kind.plural)
    for kind in {*_OTHERS, *(row.kind for row in CHILDREN), *(row.kind for row in SHARED)}
}
_STALE_PATCH = "the server rejected our request due to an error in our request"
"""Said of a JSON patch whose test fails, or whose paths the object has no more."""
_NO_RESOURCE = "the server could not find the requested resource"
"""Said of a kind that a served group doesn't have; what is missing otherwise is named."""
_NO_PATH = "404 page not found"
"""Said, as text, of a group that isn't served."""
_NO_KIND = "this cluster has no such kind"


class Cluster:
    """Reads and writes of the kinds that the operator deals in."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    async def get(self, kind: str, namespace: str, name: str) -> Object | None:
        """Return the object, or None where there is none. Raises UnknownKindError where there can be none."""
        try:
            return dict(await _translated(self._client.get(_RESOURCES[kind], name, namespace=namespace)))
        except GoneError:
            return None

    async def find(self, kind: str, namespace: str, labels: Mapping[str, str] | None = None) -> list[Object]:
        """Return the objects with these labels, as they are in storage now; namespace "*" means all."""
        found = self._client.list(_RESOURCES[kind], namespace=namespace, labels=dict(labels or {}), chunk_size=500)

        async def collect() -> list[Object]:
            return [dict(item) async for item in found]

        return await _translated(collect())

    async def apply(self, manifest: Object) -> Object:
        """Apply the manifest, server-side and forced, and return the live object."""
        return await self._patch(manifest, manifest, PatchType.APPLY, force=True)

    async def patch(self, live: Object, operations: list[Object]) -> Object:
        """Send a JSON patch and return the live object."""
        return await self._patch(live, operations, PatchType.JSON)

    async def delete(self, live: Object) -> None:
        """Delete the object, if it is still there."""
        metadata = live["metadata"]
        deletion = self._client.delete(
            _RESOURCES[live["kind"]],
            metadata["name"],
            namespace=metadata["namespace"],
            cascade=CascadeType.BACKGROUND,
        )
        try:
            await _translated(deletion)
        except GoneError:
            return

    async def replace_status(self, body: Object, status: Object) -> None:
        """Write the status of an ImageClassifier. Raises ConflictError where it has changed since it was read."""
        metadata = body["metadata"]
        cleared = dict.fromkeys(set(body.get("status", {})) - set(status))
        patch = {"metadata": {"resourceVersion": metadata["resourceVersion"]}, "status": cleared | status}
        resource = _RESOURCES[KIND].Status
        await _translated(
            self._client.patch(
                resource,
                metadata["name"],
                patch,
                namespace=metadata["namespace"],
                patch_type=PatchType.MERGE,
                field_manager=MANAGER,
            )
        )

    async def create_secret(self, secret: Object) -> bool:
        """Create the Secret; return False, without having looked at it, where there is one of its name."""
        try:
            await _translated(self._client.create(_RESOURCES["Secret"](secret)))
        except ConflictError:
            return False
        return True

    async def create_event(self, event: Object) -> None:
        """Record a Kubernetes Event."""
        await _translated(self._client.create(_RESOURCES["Event"](event)))

    async def _patch(self, live: Object, patch: Any, patch_type: PatchType, *, force: bool = False) -> Object:
        metadata = live["metadata"]
        sent = self._client.patch(
            _RESOURCES[live["kind"]],
            metadata["name"],
            patch,
            namespace=metadata["namespace"],
            patch_type=patch_type,
            field_manager=MANAGER,
            force=force,
        )
        return dict(await _translated(sent))


@asynccontextmanager
async def connect() -> AsyncIterator[Cluster]:
    """Connect as the pod's service account, or else as KUBECONFIG says."""
    async with AsyncClient(field_manager=MANAGER) as client:
        yield Cluster(client)


async def fetch_served_schema() -> Object | None:
    """Return the OpenAPI schema of ImageClassifier that the API server serves, or None without the CRD.

    It is read from /openapi/v3, which every authenticated client may, and not from the CRD, which takes a ClusterRole.
    """
    config = KubeConfig.from_env().get()
    if config is None:
        raise ClusterError("no service account and no kubeconfig tells where the API server is")
    parameters = client_adapter.ConnectionParams(timeout=httpx2.Timeout(10), trust_env=True)
    async with client_adapter.AsyncClient(config, parameters) as client:
        response = await client.get(f"/openapi/v3/apis/{API_VERSION}")
        if response.status_code == 404:
            return None
        response.raise_for_status()
    schemas = json.loads(response.content)["components"]["schemas"]
    return next((schema for name, schema in schemas.items() if name.endswith(f".{KIND}")), None)


async def _translated(call: Awaitable[T]) -> T:
    try:
        return await call
    except ApiError as error:
        raise _translate(error) from error
    except httpx2.HTTPStatusError as error:
        if error.response.status_code == 404 and error.response.text.strip() == _NO_PATH:
            raise UnknownKindError(_NO_KIND) from error
        raise ClusterError(f"the API server answered {error.response.status_code}, and nothing else") from error


def _translate(error: ApiError) -> ClusterError:
    message = error.status.message or str(error)
    causes = (error.status.details.causes if error.status.details else None) or []
    match error.status.code:
        case 404 if message == _NO_RESOURCE:
            return UnknownKindError(_NO_KIND)
        case 404:
            return GoneError(message)
        case 403 if any(cause.reason == "NamespaceTerminating" for cause in causes):
            return GoneError(message)
        case 409:
            return ConflictError(message)
        case 422 if message == _STALE_PATCH:
            return ConflictError("the object has changed since it was read")
        case _:
            return ClusterError(message)
