"""Where predictions are logged to, and how: tracking (MLflow), storage (S3) and the prediction log. No I/O."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from classifier_inference.spec.amounts import AtLeast, Between, Duration, Whole
from classifier_inference.spec.fields import Document, Name, cel

MANAGED_PREFIX = "imageclassifier-"
"""What the names of the objects that classifiers share begin with; no classifier's own name does."""
MANAGED_BUCKET = "mlflow"

SPOOL_LEAST_BYTES = 2**20

Mode = Literal["Managed", "External", "None"]
ManagedName = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=30)]
HttpAddress = Annotated[str, Field(pattern=r"^https?://[!-.0-~]+(/[!-~]*)?$", max_length=2048)]

_IS_EXTERNAL = "has(self.mode) && self.mode == 'External'"
_NAME_RULE = (
    "!has(self.name) || has(self.mode) && self.mode == 'Managed'",
    "name belongs to mode Managed: it says which one in the namespace",
)


class Tracking(Document):
    """The MLflow server that runs are logged to."""

    model_config = cel(
        (f"({_IS_EXTERNAL}) == has(self.uri)", "mode External needs uri, and no other mode takes it"),
        (f"!has(self.secret) || {_IS_EXTERNAL}", "secret belongs to mode External"),
        _NAME_RULE,
    )

    mode: Mode = Field(
        default="None",
        description="Managed: an MLflow server that the operator runs in the namespace, shared by the objects that "
        "name it. External: the one at uri. None (default): predictions are not logged.",
    )
    name: ManagedName = Field(
        default="mlflow", description="Managed: which one, of those in the namespace. Default: mlflow."
    )
    uri: HttpAddress | None = Field(default=None, description="External: the server's address, http:// or https://.")
    secret: Name | None = Field(
        default=None,
        description="External: a Secret with the key token, or the keys username and password. Default: none.",
    )

    @model_validator(mode="after")
    def _fits_the_mode(self) -> Self:
        if (self.mode == "External") != (self.uri is not None):
            raise ValueError("mode External needs uri, and no other mode takes it")
        _only_with(self, "External", "secret")
        _only_with(self, "Managed", "name")
        return self


class Storage(Document):
    """The S3 store that artifacts lie in."""

    model_config = cel(
        (
            f"({_IS_EXTERNAL}) == has(self.endpoint) && ({_IS_EXTERNAL}) == has(self.bucket)",
            "mode External needs endpoint and bucket, and no other mode takes them",
        ),
        (f"!has(self.secret) || {_IS_EXTERNAL}", "secret belongs to mode External"),
        (f"!has(self.region) || {_IS_EXTERNAL}", "region belongs to mode External"),
        _NAME_RULE,
    )

    mode: Mode = Field(
        default="None",
        description="Managed: a MinIO server that the operator runs in the namespace, shared by the objects that "
        "name it. External: the S3 at endpoint. None (default): none.",
    )
    name: ManagedName = Field(
        default="minio", description="Managed: which one, of those in the namespace. Default: minio."
    )
    endpoint: HttpAddress | None = Field(default=None, description="External: its address, http:// or https://.")
    region: str | None = Field(
        default=None, pattern=r"^[-a-z0-9]+$", max_length=63, description="External: its region. Default: us-east-1."
    )
    bucket: str | None = Field(
        default=None,
        pattern=r"^[a-z0-9][-.a-z0-9]{1,61}[a-z0-9]$",
        description="External: the bucket, which has to be there. Managed makes one called mlflow.",
    )
    secret: Name | None = Field(
        default=None,
        description="External: a Secret with the keys accessKeyId and secretAccessKey. Default: no credentials.",
    )

    @model_validator(mode="after")
    def _fits_the_mode(self) -> Self:
        external = self.mode == "External"
        if (external, external) != (self.endpoint is not None, self.bucket is not None):
            raise ValueError("mode External needs endpoint and bucket, and no other mode takes them")
        _only_with(self, "External", "secret", "region")
        _only_with(self, "Managed", "name")
        return self


class Volume(Document):
    """A volume that outlives its pods."""

    claim: Name = Field(description="A PersistentVolumeClaim in the object's namespace.")


class PredictionLog(Document):
    """What is logged of a prediction, and how it gets to the stores."""

    images: bool = Field(default=True, description="Whether the images are logged too. Default: true.")
    sample: float = Field(
        default=1, gt=0, le=1, description="The share of predictions that is logged, chosen by request id. Default: 1."
    )
    runs: Literal["window", "prediction"] = Field(
        default="window",
        description="window (default): an MLflow run holds a pod's predictions of a window of time. prediction: each "
        "prediction is a run of its own.",
    )
    window: Annotated[Duration, Between(1, 3600)] = Field(
        default=60, description="How long a window is, from 1s to 1h. Default: 60s."
    )
    experiment: str | None = Field(
        default=None,
        min_length=1,
        max_length=200,
        pattern=r"^[^\p{Z}\p{Cc}/\\]([^\p{Cc}/\\]*[^\p{Z}\p{Cc}/\\])?$",
        description="The MLflow experiment that runs belong to. Default: the object's name.",
    )
    spool: Annotated[Whole, AtLeast(SPOOL_LEAST_BYTES)] = Field(
        default=2**30,
        description="How much a pod may hold back on disk while a store is away, 1Mi at least: 0.8 of it is used. "
        "Default: 1Gi.",
    )
    volume: Volume | None = Field(
        default=None, description="Where it is held back. Default: an emptyDir, which ends with its pod."
    )
    retention: Annotated[Duration, Between(60, 100 * 365 * 86400)] | None = Field(
        default=None, description="How long runs and their artifacts are kept, such as 30d. Absent: for ever."
    )
    ship_time: Annotated[Duration, Between(0, 3600)] = Field(
        default=30, description="How long a pod that ends may take to ship what it holds. Default: 30s."
    )


def _only_with(part: Tracking | Storage, mode: Mode, *fields: str) -> None:
    for field in fields:
        if part.mode != mode and field in part.model_fields_set and getattr(part, field) is not None:
            raise ValueError(f"{field} belongs to mode {mode}")
