"""What requests and answers look like in our own protocol."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from classifier_inference.report.sink_state import SinkStates

ImagePathText = Annotated[str, Field(min_length=1, examples=["cat.jpg"])]


class InferenceInput(BaseModel):
    """Images by their paths: exactly one of the two."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"oneOf": [{"required": ["image_path"]}, {"required": ["image_paths"]}]}
    )

    image_path: ImagePathText = Field(
        default="",
        description="A file under the server's image root, relative to it or absolute; or an https:// or s3:// address "
        "that images.allow lists.",
    )
    image_paths: list[ImagePathText] = Field(
        default=[], min_length=1, description="Several of these, limits.batch at most: answered with `results`."
    )

    @model_validator(mode="after")
    def _is_one_of_both(self) -> Self:
        if len(self.model_fields_set) != 1:
            raise ValueError("exactly one of image_path and image_paths is needed")
        return self


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
    error: str | None = Field(
        default=None, description="Of /v2 and POST / alone: title and detail, as their clients read it."
    )


class IndexedAnswer(InferenceResponse):
    """The answer for one image of several."""

    index: int = Field(ge=0, description="The image's place in the request, from 0.")


class IndexedProblem(Problem):
    """What is wrong with one image of several."""

    index: int = Field(ge=0, description="The image's place in the request, from 0.")


class InferenceResults(BaseModel):
    """An answer or a problem for each of several images, in their order, each under a request id of its own."""

    results: list[IndexedAnswer | IndexedProblem]


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


class LogCount(BaseModel):
    """How many of something were logged, and how many had to be dropped."""

    logged: int = Field(description="Written to the spool since the server started.")
    dropped: int = Field(description="Dropped since the spool was made, by servers that were killed too.")


class RecorderHealth(BaseModel):
    """How the process that ships the log is doing."""

    seconds_ago: float = Field(description="When it last said so: it does every few seconds while it runs.")
    backlog_windows: int = Field(description="Sealed windows that wait to be shipped.")
    backlog_bytes: int
    backlog_seconds: float | None = Field(description="The age of the oldest of them; null if there is none.")
    shipped_windows: int = Field(description="Since the spool was made, like the next two.")
    shipped_records: int
    shipped_images: int


class LogHealth(SinkStates):
    """How the prediction log is doing: what the server spools, and what became of it."""

    records: LogCount
    images: LogCount
    spool_bytes: int = Field(description="Disk that the spool takes.")
    spool_limit_bytes: int = Field(description="What it may take: above, images are dropped first, then records.")
    recorder: RecorderHealth | None = Field(description="Null until it has said something.")


class OpenHealth(BaseModel):
    """What a server that asks for API keys tells of its health without one."""

    status: Literal["serving", "draining", "loading"]
    log: SinkStates | None = Field(description="Null where predictions are not logged.")


class Health(BaseModel):
    """How the server is doing."""

    status: Literal["serving", "draining", "loading"]
    model: LoadedModel | None = Field(description="Null while it is being loaded.")
    cpu: Cpu
    memory: Usage
    disk: Usage = Field(description="The root filesystem.")
    gpu: GpuHealth
    resize: Literal["avx2", "portable", "pillow"] = Field(
        description="What resizes images: the native kernel, by its instructions, or Pillow."
    )
    log: LogHealth | None = Field(description="Null where predictions are not logged.")
