"""What the operator is told by its environment."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, Json

from classifier_operator.spec import RESERVED_ENV

PREFIX = "OPERATOR_"


def _leave_ours_alone(name: str) -> str:
    if name.startswith(RESERVED_ENV):
        raise ValueError(f"{name} is set by the operator")
    return name


VariableName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$"), AfterValidator(_leave_ours_alone)]


class Settings(BaseModel):
    """One field an environment variable, OPERATOR_ and the field's name in capitals."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    watch_namespace: str = Field(default="", description="The one namespace to watch. Empty: all.")
    server_image_cpu: str = Field(description="The server's image for device cpu.")
    server_image_gpu: str = Field(description="The server's image for device cuda.")
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] = Field(
        default="IfNotPresent", description="The pull policy of the server's image."
    )
    server_env: Json[dict[VariableName, str]] = Field(
        default={}, description="Environment variables of the containers of new revisions, as JSON."
    )
    mlflow_image: str = Field(description="The image of the MLflow servers that objects share.")
    mlflow_volume: str = Field(default="5Gi", description="The size of a new MLflow's volume, for its database.")
    minio_image: str = Field(description="The image of the MinIO servers that objects share.")
    minio_volume: str = Field(default="20Gi", description="The size of a new MinIO's volume.")
    ca_bundle_file: Path | None = Field(
        default=None, description="A PEM file of certificate authorities that pods trust beside the usual ones."
    )
    metrics_port: int = Field(default=9090, ge=1, le=65535, description="Where Prometheus finds /metrics.")
    liveness_port: int = Field(default=8080, ge=1, le=65535, description="Where the kubelet finds /healthz.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="How much is logged.")
    resync_seconds: float = Field(default=30, gt=0, description="How often every object is looked at unasked.")
    workers: int = Field(default=8, ge=1, le=64, description="How many objects are worked on at a time.")

    def read_ca_bundle(self) -> str | None:
        """Return the certificate authorities in PEM, or None."""
        return self.ca_bundle_file.read_text() if self.ca_bundle_file else None


def parse_settings(environment: Mapping[str, str]) -> Settings:
    """Return the settings; empty variables count as absent. Raises pydantic.ValidationError naming what is wrong."""
    names = {f"{PREFIX}{field.upper()}": field for field in Settings.model_fields}
    unknown = sorted(name for name in environment if name.startswith(PREFIX) and name not in names)
    if unknown:
        raise ValueError(f"unknown environment variables: {', '.join(unknown)}")
    return Settings.model_validate({field: environment[name] for name, field in names.items() if environment.get(name)})
