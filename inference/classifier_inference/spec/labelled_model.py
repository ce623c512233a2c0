"""Which model, and the labels that it is bound to. No I/O."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from classifier_inference.spec.fields import Document, Label, Name, Sha256, cel, cel_exactly_one, require_one
from classifier_inference.spec.uri_fields import ModelUri, Uri

ScoresKind = Literal["auto", "softmax", "sigmoid", "asIs"]
TensorName = Annotated[str, Field(min_length=1, max_length=256)]

_NEEDS_SCORES = "threshold needs scores: sigmoid, or asIs"


class KeyRef(Document):
    """One key of a ConfigMap in the object's namespace."""

    # The name becomes part of a path that the operator asks for with its own rights: `..` in it would lead elsewhere.
    name: Name = Field(description="The ConfigMap.")
    key: str = Field(pattern=r"^[-._a-zA-Z0-9]+$", max_length=253, description="The key in its data.")


class Labels(Document):
    """Where the labels come from: exactly one of inline, configMap and uri. The n-th label names the n-th class."""

    model_config = cel_exactly_one("uri", "configMap", "inline")

    uri: Uri | None = Field(default=None, description="A text file, one label a line, or a JSON list of strings.")
    config_map: KeyRef | None = Field(
        default=None, description="A ConfigMap's key with one label a line, or a JSON list; copied into the revision."
    )
    inline: list[Label] | None = Field(
        default=None, min_length=1, max_length=25000, description="The labels, in the order of the model's classes."
    )

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        return require_one(self, "uri", "configMap", "inline")


class Model(Document):
    """The ONNX model and the labels it is bound to."""

    model_config = cel(
        (
            "!has(self.threshold) || (has(self.scores) && (self.scores == 'sigmoid' || self.scores == 'asIs'))",
            _NEEDS_SCORES,
        )
    )

    uri: ModelUri = Field(
        description="Where the ONNX file is: image://reference:tag/path (a container image), https://…, "
        "s3://bucket/key, models:/name/version or models:/name@alias (MLflow's registry), or, with no cluster, "
        "file:path."
    )
    sha256: Sha256 | None = Field(
        default=None,
        description="The ONNX file's digest, or that of it and the files that it keeps tensors in, as `classifier "
        "digest` prints it; checked before it is loaded. Absent: reported, not checked.",
    )
    version: str = Field(
        default="1",
        min_length=1,
        max_length=63,
        description="A name for this version, in answers and in status. Default: the registry's with models:/, else 1.",
    )
    labels: Labels = Field(description="Where the labels come from. The n-th label names the n-th class.")
    scores: ScoresKind = Field(
        default="auto",
        description="How the model's outputs become scores from 0 to 1: softmax, sigmoid (each label for itself), asIs "
        "(they are scores), or auto: asIs where they are probabilities that sum to 1, else softmax. Default: auto.",
    )
    threshold: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="Of several labels at once, every one that scores over this is answered, instead of the topK best. "
        "Needs scores: sigmoid, or asIs.",
    )
    input: TensorName | None = Field(
        default=None, description="The input that takes the image. Needed where the graph has several."
    )
    output: TensorName | None = Field(
        default=None, description="The output that holds the scores. Needed where the graph has several."
    )

    @model_validator(mode="after")
    def _threshold_needs_scores(self) -> Self:
        if self.threshold is not None and self.scores not in {"sigmoid", "asIs"}:
            raise ValueError(_NEEDS_SCORES)
        return self
