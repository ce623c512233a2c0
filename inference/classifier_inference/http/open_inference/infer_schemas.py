"""What requests and answers look like in the Open Inference Protocol, version 2."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

IMAGE = "image"
SCORES = "scores"

Side = Annotated[int, Field(strict=True, ge=1, lt=2**31)]
Size = Annotated[int, Field(strict=True, ge=0)]


class _Part(BaseModel):
    """What of a request or answer; clients may add to it."""

    model_config = ConfigDict(protected_namespaces=())


class InputParameters(_Part):
    """How a tensor is sent."""

    binary_data_size: Size | None = Field(default=None, description="Its bytes after the JSON, instead of `data`.")
    shared_memory_region: str | None = Field(default=None, description="Refused: there is no shared memory.")


class RequestInput(_Part):
    """A tensor: encoded images, their pixels, or the model's own input."""

    name: str = Field(description="`image`, or the name of the model's own input.", examples=[IMAGE])
    datatype: Literal["BYTES", "UINT8", "FP32"]
    shape: list[Side] = Field(
        min_length=1, max_length=8, description="BYTES [n]; UINT8 [n, height, width, 3]; FP32 [n, …]."
    )
    parameters: InputParameters | None = None
    data: Any = Field(
        default=None,
        description="The values, flat or nested; those of BYTES in base64.",
        examples=[["/9j/4A…"]],
    )


class OutputParameters(_Part):
    """How an output is wanted."""

    binary_data: bool | None = Field(default=None, description="After the JSON, by the binary extension.")
    classification: int | None = Field(
        default=None, strict=True, ge=1, description="That many best classes as `score:index:label`, instead of scores."
    )
    shared_memory_region: str | None = Field(default=None, description="Refused: there is no shared memory.")


class RequestOutput(_Part):
    """An output that is wanted."""

    name: Literal["scores"]
    parameters: OutputParameters | None = None


class RequestParameters(_Part):
    """What holds for the request."""

    binary_data_output: bool = Field(default=False, description="Binary outputs where none says otherwise.")


class InferRequest(_Part):
    """Tensors to infer from."""

    id: str | None = Field(default=None, description="Given back in the answer.")
    inputs: list[RequestInput] = Field(min_length=1, max_length=1)
    outputs: list[RequestOutput] | None = Field(default=None, max_length=1, description="Absent: `scores`.")
    parameters: RequestParameters | None = None


class AnswerParameters(_Part):
    """What is told of a request."""

    request_ids: str = Field(description="The images' request ids, in their order, with commas between them.")


class BinarySize(_Part):
    """How many bytes of a tensor follow the JSON."""

    binary_data_size: int


class ResponseOutput(_Part):
    """A tensor."""

    name: str
    datatype: Literal["FP32", "BYTES"]
    shape: list[int]
    parameters: BinarySize | None = None
    data: list[float] | list[str] | None = None


class InferAnswer(_Part):
    """The scores of each image, or their best classes."""

    model_name: str
    model_version: str
    id: str | None = None
    parameters: AnswerParameters
    outputs: list[ResponseOutput]


class Live(BaseModel):
    """Whether the process lives."""

    live: bool


class Ready(BaseModel):
    """Whether requests should be sent here."""

    ready: bool


class ModelReady(Ready):
    """Whether the model answers."""

    name: str


class ServerMetadata(BaseModel):
    """What answers."""

    name: str
    version: str
    extensions: list[str]


class TensorMetadata(BaseModel):
    """A tensor; -1 is any length."""

    name: str
    datatype: str
    shape: list[int]


class ModelMetadata(BaseModel):
    """The model's tensors."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]


class ConfigTensor(BaseModel):
    """A tensor in a configuration, without the batch's side."""

    name: str
    data_type: str
    dims: list[int]


class ModelConfig(BaseModel):
    """What Triton's clients read of a model's configuration."""

    name: str
    platform: str
    backend: str
    max_batch_size: int
    input: list[ConfigTensor]
    output: list[ConfigTensor]


class Duration(BaseModel):
    """How often, and how long in all."""

    count: int
    ns: int


class InferenceStatistics(BaseModel):
    """Where the time went since the server started."""

    success: Duration
    fail: Duration
    queue: Duration
    compute_input: Duration
    compute_infer: Duration
    compute_output: Duration
    cache_hit: Duration
    cache_miss: Duration


class ModelStatistics(BaseModel):
    """What one model did since the server started, by any protocol."""

    name: str
    version: str = Field(description="The number that the version begins with; 1 where there is none.")
    last_inference: int = Field(description="Milliseconds since 1970; 0 before the first.")
    inference_count: int = Field(description="Images.")
    execution_count: int = Field(description="Runs of the model.")
    inference_stats: InferenceStatistics
    batch_stats: list[dict[str, Any]]


class Statistics(BaseModel):
    """What the models did."""

    model_stats: list[ModelStatistics]
