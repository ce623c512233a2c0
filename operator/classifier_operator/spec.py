"""Parse: the object as the API server sent it -> ImageClassifier. No I/O."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from classifier_inference.spec.classifier import ClassifierSpec
from classifier_inference.spec.fields import Document, Name, cel
from classifier_inference.spec.labelled_model import Labels
from classifier_operator.registry_addresses import find_address_problem

GROUP = "imageclassifier.dev"
VERSION = "v1alpha1"
KIND = "ImageClassifier"
PLURAL = "imageclassifiers"
NAME_PATTERN = r"^[a-z]([-a-z0-9]*[a-z0-9])?$"
NAME_LIMIT = 50
OWN_LABELS = ("imageclassifier.dev/", "app.kubernetes.io/")
RESERVED_ENV = ("CLASSIFIER_",)

_NAMED_LABELS = 3

Pairs = dict[str, Annotated[str, Field(max_length=63)]]


class SpecError(ValueError):
    """The object can't be understood; the message names each field and what it needs."""


def kubernetes_type(name: str, *, many: bool = False) -> Any:
    """Return a Field whose schema in the CRD is that of a Kubernetes type, such as io.k8s.api.core.v1.Affinity."""
    return Field(json_schema_extra={"x-kubernetes-type": name, "x-many": many})


class Rollout(Document):
    """How a new revision takes over."""

    strategy: Literal["RollingUpdate", "Recreate"] = Field(
        default="RollingUpdate",
        description="RollingUpdate (default): no pod goes before its successor is ready. Recreate: the old one ends "
        "first, for where there is no room, or no GPU, for both.",
    )


class IngressTls(Document):
    """Where the ingress controller finds the certificate."""

    secret_name: Name = Field(description="A Secret of type kubernetes.io/tls in the object's namespace.")


class IngressRoute(Document):
    """An Ingress before the Service."""

    class_name: Name | None = Field(default=None, description="The IngressClass. Default: the cluster's default.")
    host: Name | None = Field(default=None, description="Default: any host.")
    path: str = Field(
        default="/",
        pattern=r"^/([-A-Za-z0-9_~][-A-Za-z0-9._~]*(/[-A-Za-z0-9_~][-A-Za-z0-9._~]*)*)?$",
        max_length=253,
        description="What comes before /api/v1 in the URL; the server strips it. Default: /.",
    )
    tls: IngressTls | None = Field(default=None, description="Default: plain HTTP.")


Origin = Annotated[str, Field(pattern=r"^(\*|https?://([-a-z0-9.]+|\[[0-9a-f:]+\])(:[0-9]{1,5})?)$", max_length=300)]


class Route(Document):
    """How the classifier is reached from outside the cluster."""

    ingress: IngressRoute | None = Field(default=None, description="Default: none, the Service alone.")
    cors: list[Origin] = Field(
        default=[],
        max_length=32,
        description='Origins whose pages may ask from a browser, such as https://app.example.com; "*" is any. A '
        "change makes new pods. Default: none.",
    )


class LocalRef(Document):
    """A Secret of the object's namespace."""

    name: Name = Field(description="The Secret's name.")


class EnvVar(Document):
    """An environment variable, by value."""

    name: str = Field(
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=253, description="Not CLASSIFIER_…: these are the operator's."
    )
    value: str = Field(default="", max_length=4096, description="Default: empty.")


class Pod(Document):
    """What is passed on to the pods: these fields and no others, none of which widens their rights."""

    model_config = cel(
        *(
            (f"!has(self.labels) || self.labels.all(key, !key.startsWith('{own}'))", f"{own}… is set by the operator")
            for own in OWN_LABELS
        ),
        *(
            (f"!has(self.env) || self.env.all(each, !each.name.startsWith('{own}'))", f"{own}… is set by the operator")
            for own in RESERVED_ENV
        ),
    )

    labels: Pairs = Field(default_factory=dict, max_length=64, description="The pods' labels, beside ours.")
    annotations: dict[str, str] = Field(default_factory=dict, max_length=64, description="The pods' annotations.")
    node_selector: Pairs = Field(default_factory=dict, max_length=64, description="As in a pod.")
    tolerations: Annotated[list[dict[str, Any]], kubernetes_type("io.k8s.api.core.v1.Toleration", many=True)] = Field(
        default=[], max_length=64, description="As in a pod."
    )
    affinity: Annotated[dict[str, Any] | None, kubernetes_type("io.k8s.api.core.v1.Affinity")] = Field(
        default=None, description="As in a pod."
    )
    topology_spread_constraints: Annotated[
        list[dict[str, Any]], kubernetes_type("io.k8s.api.core.v1.TopologySpreadConstraint", many=True)
    ] = Field(default=[], max_length=16, description="As in a pod.")
    priority_class_name: Name | None = Field(default=None, description="As in a pod.")
    runtime_class_name: Name | None = Field(default=None, description="As in a pod.")
    image_pull_secrets: list[LocalRef] = Field(
        default=[], max_length=16, description="Secrets of the object's namespace, for the model's images too."
    )
    env: list[EnvVar] = Field(
        default=[],
        max_length=64,
        description="Environment variables of the server, of fetch, the recorder and the Job that resolves models:/…, "
        "by value alone.",
    )

    @model_validator(mode="after")
    def _leaves_our_names_alone(self) -> Self:
        for key in self.labels:
            if key.startswith(OWN_LABELS):
                raise ValueError(f"labels: {key!r} is set by the operator")
        for variable in self.env:
            if variable.name.startswith(RESERVED_ENV):
                raise ValueError(f"env: {variable.name!r} is set by the operator")
        return self


class ImageClassifierSpec(ClassifierSpec):
    """What an ImageClassifier asks for."""

    replicas: int | None = Field(default=None, ge=0, le=1000, description="How many pods. Absent: 1.")
    rollout: Rollout = Field(default=Rollout(), description="How a new revision takes over.")
    route: Route = Field(default=Route(), description="How the classifier is reached from outside the cluster.")
    pod: Pod = Field(default=Pod(), description="What is passed on to the pods.")


@dataclass(frozen=True)
class Identity:
    """Which object it is; known even where its spec can't be understood."""

    namespace: str
    name: str
    uid: str
    generation: int
    resource_version: str


@dataclass(frozen=True)
class ImageClassifier:
    """An object that was understood."""

    identity: Identity
    spec: ImageClassifierSpec

    @property
    def logs(self) -> bool:
        """Whether predictions are logged."""
        return self.spec.tracking.mode != "None"

    @property
    def replicas(self) -> int:
        """The number of pods asked for."""
        return 1 if self.spec.replicas is None else self.spec.replicas


def parse_identity(body: dict[str, Any]) -> Identity:
    """Return which object a body is."""
    metadata = body["metadata"]
    return Identity(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        generation=metadata["generation"],
        resource_version=metadata["resourceVersion"],
    )


def parse_image_classifier(body: dict[str, Any]) -> ImageClassifier:
    """Return the object. Raises SpecError, naming every field that is wrong."""
    try:
        spec = ImageClassifierSpec.model_validate(body.get("spec"))
    except ValidationError as error:
        raise SpecError("; ".join(_describe(problem) for problem in error.errors())) from None
    if spec.model.uri.startswith("file:"):
        raise SpecError(
            "spec.model.uri: file: works with no cluster alone; use image://reference:tag/path, https://…, s3://… "
            "or models:/…"
        )
    problem = find_address_problem(spec)
    if problem is not None:
        raise SpecError(problem)
    return ImageClassifier(parse_identity(body), spec)


def check_labels(labels: Sequence[str]) -> list[str]:
    """Return labels that are to be copied into an object. Raises SpecError where inline ones would be refused."""
    try:
        return Labels(inline=list(labels)).inline or []
    except ValidationError as error:
        raise SpecError("; ".join(_describe(problem, "labels") for problem in error.errors()[:_NAMED_LABELS])) from None


def _describe(problem: Any, field: str = "spec") -> str:
    for part in problem["loc"]:
        field += f"[{part}]" if isinstance(part, int) else f".{part}"
    return f"{field}: {problem['msg'].removeprefix('Value error, ')}"
