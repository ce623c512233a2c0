"""What runs the model: the device, and what a pod is given of the machine. No I/O."""

from typing import Literal

from pydantic import Field

from classifier_inference.spec.amounts import Quantity
from classifier_inference.spec.fields import Document


class Gpu(Document):
    """What a pod asks the scheduler for when device is cuda."""

    count: int = Field(default=1, ge=1, le=64, description="How many a pod. Default: 1.")
    resource: str = Field(
        default="nvidia.com/gpu",
        pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?/[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$",
        max_length=316,
        description="The extended resource: nvidia.com/gpu (default), or a MIG profile such as nvidia.com/mig-1g.10gb.",
    )


class Resources(Document):
    """The server container's compute resources, as in a pod."""

    requests: dict[str, Quantity] = Field(default_factory=dict, max_length=16, description="As in a container.")
    limits: dict[str, Quantity] = Field(default_factory=dict, max_length=16, description="As in a container.")


class Runtime(Document):
    """The device that runs the model, and what it is given."""

    device: Literal["cpu", "cuda"] = Field(
        default="cpu", description="cuda: ready only when CUDA really runs the model. Default: cpu."
    )
    resources: Resources = Field(
        default=Resources(),
        description="The server container's. Default: requests of 100m CPU and 256Mi memory, and no limits.",
    )
    gpu: Gpu = Field(default=Gpu(), description="Used with device: cuda alone. Default: one nvidia.com/gpu.")
