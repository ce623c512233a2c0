"""What requests and answers look like in our own protocol."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class InferenceInput(BaseModel):
    """An image by its path."""

    model_config = ConfigDict(extra="forbid")

    image_path: str = Field(
        min_length=1,
        description="A file under the server's image root: relative to it, or absolute.",
        examples=["cat.jpg"],
    )


class PredictionResult(BaseModel):
    """One class, and how sure the model is of it."""

    label: str
    class_id: int = Field(ge=0, description="The class's place in the model's output.")
    confidence: float = Field(ge=0, le=1)


class ModelInfo(BaseModel):
    """Which model answered."""

    name: str
    version: str
    sha256: str = Field(description="The ONNX file's digest.")


class Milliseconds(BaseModel):
    """Where the time went."""

    decode: float = Field(description="From the image's bytes to the model's input.")
    queue: float = Field(description="Waiting for a worker thread.")
    infer: float = Field(description="In the model.")


class InferenceResponse(BaseModel):
    """The best classes of one image, best first."""

    request_id: str = Field(description="A UUID of version 7.")
    predictions: list[PredictionResult]
    model: ModelInfo
    milliseconds: Milliseconds


class Problem(BaseModel):
    """What went wrong (RFC 9457)."""

    type: str = Field(description="A URI that stays the same for this problem.")
    title: str
    status: int
    detail: str
    request_id: str


class Usage(BaseModel):
    """How much of something is used."""

    used_bytes: int
    total_bytes: int = Field(description="The container's limit where it has one, else the machine's.")


class Cpu(BaseModel):
    """The processors."""

    count: int = Field(description="As many as the container may use.")
    percent: float = Field(description="How busy this process has kept them since health was last asked; 100 is one.")


class LoadedModel(ModelInfo):
    """Which model is served."""

    load_seconds: float
    provider: str = Field(description="ONNX Runtime's execution provider that runs it.")


class GpuHealth(BaseModel):
    """The GPU, or why there is none."""

    used: bool
    names: list[str] = Field(description="The GPUs that NVIDIA's driver shows.")
    reason: str | None = Field(description="Why no GPU is used; null if one is.")


class Health(BaseModel):
    """How the server is doing."""

    status: Literal["serving", "draining", "loading"]
    model: LoadedModel | None = Field(description="Null while it is being loaded.")
    cpu: Cpu
    memory: Usage
    disk: Usage = Field(description="The root filesystem.")
    gpu: GpuHealth
