"""What requests and answers about MLflow's runs look like."""

import base64
import binascii
from datetime import datetime
from itertools import pairwise
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, field_validator, model_validator

Score = Annotated[float, Field(strict=True, ge=0, le=1, allow_inf_nan=False)]


def _decode(text: Any) -> Any:
    try:
        return base64.b64decode(text, validate=True) if isinstance(text, str) else text
    except binascii.Error as error:
        raise ValueError(f"is not base64: {error}") from None


_BASE64 = {
    "type": "string",
    "contentEncoding": "base64",
    "minLength": 4,
    "pattern": "^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$",
}

EncodedBytes = Annotated[bytes, BeforeValidator(_decode), WithJsonSchema(_BASE64)]
Label = Annotated[str, Field(min_length=1, max_length=256)]


class PredictionLogRequest(BaseModel):
    """A prediction to make a run of: its image, what was seen in it, by which version."""

    model_config = ConfigDict(
        extra="forbid",
        protected_namespaces=(),
        json_schema_extra={
            "examples": [
                {"image_path": "cat.jpg", "predictions": [["cat", 0.95], ["dog", 0.03]], "model_version": "1.0.0"}
            ]
        },
    )

    image_path: str | None = Field(
        default=None, min_length=1, description="The image: a file under the server's image root."
    )
    image: EncodedBytes | None = Field(default=None, description="Instead of image_path: the image's bytes, in base64.")
    predictions: list[tuple[Label, Score]] = Field(
        min_length=1, max_length=1000, description="Label and confidence of each class, from 0 to 1, best first."
    )
    model_version: str | None = Field(
        default=None, min_length=1, max_length=250, description="Absent: the version that is served."
    )
    artifact_name: str | None = Field(
        default=None,
        min_length=1,
        max_length=150,
        description="What the image is called among the run's artifacts: a plain file name. Absent: as in image_path.",
    )

    @field_validator("predictions")
    @classmethod
    def _are_sorted(cls, predictions: list[tuple[str, float]]) -> list[tuple[str, float]]:
        for place, (before, after) in enumerate(pairwise(predictions), 1):
            if after[1] > before[1]:
                raise ValueError(
                    f"must be sorted, best first: number {place} ({after[1]:g}) is over the one before it "
                    f"({before[1]:g}), counted from 0"
                )
        return predictions

    @field_validator("artifact_name")
    @classmethod
    def _is_a_plain_name(cls, name: str | None) -> str | None:
        if name is not None and (name in {".", ".."} or not name.isprintable() or {"/", "\\"} & set(name)):
            raise ValueError("must be a plain file name: no slash, no backslash, not .. and nothing unprintable")
        if name is not None and ".." in name:
            raise ValueError("must not hold ..")
        return name

    @model_validator(mode="after")
    def _has_one_image(self) -> Self:
        if (self.image_path is None) == (self.image is None):
            raise ValueError("needs exactly one of image_path and image")
        return self


class MLflowLogResponse(BaseModel):
    """The run that was made."""

    run_id: str = Field(description="The id that MLflow gave.")
    experiment_id: str
    status: str
    artifact_uri: str = Field(description="Where its artifacts are.")
    request_id: str = Field(description="A UUID of version 7, by which the run is found too.")


class RunArtifact(BaseModel):
    """A file of a run."""

    path: str = Field(description="From the root of the run's artifacts.")
    bytes: int | None


class MLflowRunResponse(BaseModel):
    """A run, or where the prediction of a request id is."""

    state: Literal["logged", "pending"] = Field(
        description="pending: answered, and in the spool or nearly; it has no run yet, and the fields below are empty."
    )
    run_id: str | None = None
    status: str | None = Field(default=None, description="MLflow's: RUNNING, FINISHED, FAILED and so on.")
    start_time: datetime | None = None
    end_time: datetime | None = None
    params: dict[str, str] = {}
    metrics: dict[str, float] = {}
    tags: dict[str, str] = {}
    artifacts: list[RunArtifact] | None = Field(default=[], description="Null where MLflow can't list them.")
    prediction: dict[str, Any] | None = Field(
        default=None,
        description="Asked by request id: its record, where the disk has it, or its row in the window's Parquet file.",
    )
