"""The table of kinds: what is made of an object, and of what objects share. A new kind is a file beside this and a row.

A row says which kind it is and how it is built: to a manifest, or to None where it isn't wanted. What is read, watched,
mended and deleted follows from the rows. The rows of one part are mended in order, up to the first that can't be: it
holds back the rest of its part, but no other part. No I/O.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from classifier_inference.spec.uri import ModelsUri
from classifier_operator.api_kinds import ApiKind
from classifier_operator.managed_stores import Minio, Shared
from classifier_operator.names import MINIO_PORT, MLFLOW_PORT, build_own_name, build_slot_name
from classifier_operator.resources.config_map import CONFIG_MAP, build_config_map
from classifier_operator.resources.deployment import DEPLOYMENT, build_deployment
from classifier_operator.resources.ingress import INGRESS, build_ingress
from classifier_operator.resources.minio_server import build_minio
from classifier_operator.resources.mlflow_server import build_mlflow
from classifier_operator.resources.resolve_job import JOB, build_resolve_job
from classifier_operator.resources.revision import Revision
from classifier_operator.resources.service import SERVICE, build_service
from classifier_operator.resources.service_account import SERVICE_ACCOUNT, build_service_account
from classifier_operator.resources.shared_service import build_shared_service
from classifier_operator.resources.stateful_set import STATEFUL_SET
from classifier_operator.settings import Settings
from classifier_operator.spec import Identity, ImageClassifier

Object = dict[str, Any]
T = TypeVar("T")


@dataclass(frozen=True)
class Question:
    """What a Job is to ask MLflow's registry."""

    address: ModelsUri
    request: str
    """The name of the revision that the spec makes as it is written."""
    version_only: bool
    """Whether the digest is known, and only a version that an alias names by now is asked for."""


@dataclass(frozen=True)
class QuestionWish:
    """What has to be known before there can be a revision."""

    classifier: ImageClassifier
    question: Question | None
    settings: Settings
    ca_bundle: str | None


@dataclass(frozen=True)
class PodsWish:
    """The pods of a revision, and what stands around them."""

    classifier: ImageClassifier
    slot: str
    revision: Revision
    template: Object
    ca_bundle: str | None
    """As the revision was made with."""


@dataclass(frozen=True)
class SharedWish:
    """A server that the objects of a namespace share."""

    namespace: str
    shared: Shared
    hosts: list[str]
    """Those by which Ingresses lead to it."""
    settings: Settings
    ca_bundle: str | None
    live: Object | None
    """Its StatefulSet, whose volume keeps its size."""


@dataclass(frozen=True)
class Row(Generic[T]):
    """A kind, and how it is built from a wish."""

    kind: ApiKind
    build: Callable[[T], Object | None]
    name: Callable[[Identity, str], str] | None = build_own_name
    """Of an object's one child of this kind, by the slot that serves; None where there may be several."""
    is_made_once: bool = False
    """Whether it is left as it was made."""


@dataclass(frozen=True)
class SharedRow:
    """A kind of what is shared: it has the name of what is shared, and is wanted wherever that is."""

    kind: ApiKind
    build: Callable[[SharedWish], Object]


def _build_question(wish: QuestionWish) -> Object | None:
    asked = wish.question
    if asked is None:
        return None
    return build_resolve_job(
        wish.classifier, asked.address, asked.request, wish.settings, wish.ca_bundle, version_only=asked.version_only
    )


def _build_server(wish: SharedWish) -> Object:
    if isinstance(wish.shared, Minio):
        return build_minio(wish.namespace, wish.shared, wish.settings, wish.live)
    return build_mlflow(wish.namespace, wish.shared, wish.hosts, wish.settings, wish.ca_bundle, wish.live)


def _build_port(wish: SharedWish) -> Object:
    port = MINIO_PORT if isinstance(wish.shared, Minio) else MLFLOW_PORT
    return build_shared_service(wish.namespace, wish.shared.name, port)


QUESTION: tuple[Row[QuestionWish], ...] = (Row(JOB, _build_question, name=None, is_made_once=True),)
PODS: tuple[Row[PodsWish], ...] = (
    Row(SERVICE_ACCOUNT, lambda wish: build_service_account(wish.classifier)),
    Row(
        CONFIG_MAP,
        lambda wish: build_config_map(wish.classifier.identity, wish.revision, wish.ca_bundle),
        name=None,
    ),
    Row(SERVICE, lambda wish: build_service(wish.classifier, wish.slot)),
    Row(
        DEPLOYMENT,
        lambda wish: build_deployment(wish.classifier, wish.slot, wish.revision, wish.template),
        name=build_slot_name,
    ),
)
ROUTE: tuple[Row[ImageClassifier], ...] = (Row(INGRESS, build_ingress),)
CHILDREN: tuple[Row[Any], ...] = (*QUESTION, *PODS, *ROUTE)
SHARED: tuple[SharedRow, ...] = (SharedRow(SERVICE, _build_port), SharedRow(STATEFUL_SET, _build_server))
