"""Observe: one look at an object's world, or at a namespace's. The one module of a reconcile that reads."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from classifier_operator.api_errors import UnknownKindError
from classifier_operator.api_kinds import PERSISTENT_VOLUME_CLAIM, POD, REPLICA_SET, ApiKind
from classifier_operator.cluster import Cluster
from classifier_operator.decide.ownership import is_owned
from classifier_operator.decide.sink_health import list_managed
from classifier_operator.key import Key
from classifier_operator.managed_stores import Mlflow, Shared
from classifier_operator.names import (
    CLASSIFIER_LABEL,
    MANAGED_BY_LABEL,
    MANAGER,
    SHARED_LABEL,
    build_selector,
    build_shared_name,
    build_slot_name,
)
from classifier_operator.resources.config_map import CONFIG_MAP, build_config_map_name
from classifier_operator.resources.deployment import DEPLOYMENT, read_revision
from classifier_operator.resources.ingress import INGRESS
from classifier_operator.resources.kinds import CHILDREN, SHARED, Row
from classifier_operator.spec import KIND, Identity, ImageClassifier

Object = dict[str, Any]
Children = dict[str, dict[str, Object]]
"""Live objects, by kind and by name."""


@dataclass(frozen=True)
class World:
    """What is there of an object."""

    children: Children
    """What has a child's name, the object's own or not; of kinds that may be several, what has the object's label."""
    standing: Object | None
    """The object's own Deployment of the slot that serves."""
    replica_sets: list[Object]
    """Of the slot that serves."""
    pods: list[Object]
    """All that have the object's label, whatever they are for."""
    labels: Object | None
    """The ConfigMap that model.labels names."""
    claim: Object | None
    """The volume of its log."""
    peers: list[Object]
    """The objects of its namespace, where it wants to share something with them."""

    def select_pods(self, selector: dict[str, str]) -> list[Object]:
        """Return the pods that a selector of labels matches."""
        return [pod for pod in self.pods if selector.items() <= pod["metadata"].get("labels", {}).items()]


@dataclass(frozen=True)
class SharedWorld:
    """What is there in a namespace of what its objects share."""

    children: Children
    """What has the operator's label or a wanted name."""
    pods: dict[str, list[Object]]
    """By what is shared."""
    ingresses: list[Object]
    """Of the namespace, where one may lead to an MLflow."""


class Observer:
    """Reads what is there."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def observe_object(self, key: Key) -> Object | None:
        """Return the object itself, or None where it is gone."""
        return await self._fetch(KIND, key.namespace, key.name)

    async def observe_world(self, identity: Identity, classifier: ImageClassifier | None, slot: str) -> World:
        """Return what is there of an object; `classifier` is None where its spec can't be understood."""
        children, replica_sets, pods, labels, claim, peers = await asyncio.gather(
            self._observe_children(identity, slot),
            self._cluster.find(REPLICA_SET.name, identity.namespace, build_selector(identity, slot)),
            self._cluster.find(POD.name, identity.namespace, {CLASSIFIER_LABEL: identity.name}),
            self._fetch_labels(classifier),
            self._fetch_claim(classifier),
            self._fetch_peers(classifier),
        )
        standing = _find_owned(children, identity, slot)
        return World(children, standing, replica_sets, pods, labels, claim, peers)

    async def observe_named(self, identity: Identity, children: Children, named: Iterable[tuple[str, str]]) -> Children:
        """Return the children with those of these kinds and names that lack the object's label, and so weren't seen."""
        unseen = [(kind, name) for kind, name in named if name not in children[kind]]
        found = await asyncio.gather(*(self._fetch(kind, identity.namespace, name) for kind, name in unseen))
        more = {kind: {name: live} for (kind, name), live in zip(unseen, found, strict=True) if live}
        return {kind: there | more.get(kind, {}) for kind, there in children.items()}

    async def observe_objects(self, scope: str) -> list[Object]:
        """Return all objects of a namespace, or with "*" of all. Raises UnknownKindError where the CRD is gone."""
        return await self._cluster.find(KIND, scope)

    async def observe_shared(self, namespace: str, wanted: Iterable[Shared]) -> SharedWorld:
        """Return what is there of what the objects of a namespace share, or shared."""
        wanted = list(wanted)
        kinds = [row.kind.name for row in SHARED]
        servers = [(kind, build_shared_name(shared.name)) for kind in kinds for shared in wanted]
        labelled, named, pods, ingresses = await asyncio.gather(
            asyncio.gather(*(self._fetch_by_name(row.kind, namespace, {MANAGED_BY_LABEL: MANAGER}) for row in SHARED)),
            asyncio.gather(*(self._fetch(kind, namespace, name) for kind, name in servers)),
            asyncio.gather(
                *(self._cluster.find(POD.name, namespace, {SHARED_LABEL: shared.name}) for shared in wanted)
            ),
            self._fetch_ingresses(namespace, wanted),
        )
        children = dict(zip(kinds, labelled, strict=True))
        for (kind, name), live in zip(servers, named, strict=True):
            if live is not None:
                children[kind] = children[kind] | {name: live}
        return SharedWorld(
            children, {shared.name: found for shared, found in zip(wanted, pods, strict=True)}, ingresses
        )

    async def observe_shared_namespaces(self, scope: str) -> set[str]:
        """Return the namespaces in which something shared is, wanted or not; scope "*" means all."""
        labels = {MANAGED_BY_LABEL: MANAGER}
        found = [item for row in SHARED for item in await self._cluster.find(row.kind.name, scope, labels)]
        return {item["metadata"]["namespace"] for item in found if SHARED_LABEL in item["metadata"]["labels"]}

    async def _observe_children(self, identity: Identity, slot: str) -> Children:
        found = await asyncio.gather(*(self._observe_kind(row, identity, slot) for row in CHILDREN))
        children = {row.kind.name: live for row, live in zip(CHILDREN, found, strict=True)}
        standing = _find_owned(children, identity, slot)
        if standing is None:
            return children
        # Its revision's ConfigMap is seen also where somebody took its label away.
        name = build_config_map_name(identity, read_revision(standing))
        return await self.observe_named(identity, children, [(CONFIG_MAP.name, name)])

    async def _observe_kind(self, row: Row[Any], identity: Identity, slot: str) -> dict[str, Object]:
        if row.name is None:
            return await self._fetch_by_name(row.kind, identity.namespace, {CLASSIFIER_LABEL: identity.name})
        name = row.name(identity, slot)
        live = await self._fetch(row.kind.name, identity.namespace, name)
        return {name: live} if live else {}

    async def _fetch_labels(self, classifier: ImageClassifier | None) -> Object | None:
        reference = classifier.spec.model.labels.config_map if classifier else None
        if classifier is None or reference is None:
            return None
        return await self._fetch(CONFIG_MAP.name, classifier.identity.namespace, reference.name)

    async def _fetch_claim(self, classifier: ImageClassifier | None) -> Object | None:
        volume = classifier.spec.prediction_log.volume if classifier and classifier.logs else None
        if classifier is None or volume is None:
            return None
        return await self._fetch(PERSISTENT_VOLUME_CLAIM.name, classifier.identity.namespace, volume.claim)

    async def _fetch_peers(self, classifier: ImageClassifier | None) -> list[Object]:
        if classifier is None or not list_managed(classifier):
            return []
        return await self.observe_objects(classifier.identity.namespace)

    async def _fetch_ingresses(self, namespace: str, wanted: list[Shared]) -> list[Object]:
        """Return what may lead to an MLflow, where there is to be one."""
        leads = any(isinstance(shared, Mlflow) for shared in wanted)
        return await self._cluster.find(INGRESS.name, namespace) if leads else []

    async def _fetch_by_name(self, kind: ApiKind, namespace: str, labels: dict[str, str]) -> dict[str, Object]:
        """Return what has the labels, by its name; nothing where the cluster has no such kind."""
        try:
            found = await self._cluster.find(kind.name, namespace, labels)
        except UnknownKindError:
            return {}
        # The items of a list don't say what they are.
        said = {"apiVersion": kind.api_version, "kind": kind.name}
        return {live["metadata"]["name"]: live | said for live in found}

    async def _fetch(self, kind: str, namespace: str, name: str) -> Object | None:
        """Return the object, or None where there is none, nor such a kind."""
        try:
            live = await self._cluster.get(kind, namespace, name)
        except UnknownKindError:
            return None
        return live | {"kind": kind} if live else None


def _find_owned(children: Children, identity: Identity, slot: str) -> Object | None:
    live = children[DEPLOYMENT.name].get(build_slot_name(identity, slot))
    return live if live and is_owned(live, identity) else None
