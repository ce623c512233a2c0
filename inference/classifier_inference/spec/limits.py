"""What a request may ask of the server. No I/O."""

from typing import Annotated, Literal

from pydantic import Field

from classifier_inference.spec.amounts import AtLeast, Between, Duration, Whole
from classifier_inference.spec.fields import Document

MEMORY_LEAST_BYTES = 16 * 2**20
"""What requests may take at least, so that small images are answered however little there is."""

ImageFormat = Literal["jpeg", "png", "webp", "gif", "bmp", "tiff"]


class Limits(Document):
    """What a request may ask of the server."""

    bytes: Whole = Field(default=10 * 2**20, description="An image's size in bytes. Default: 10Mi.")
    pixels: Whole = Field(
        default=50_000_000, description="An image's width times height, judged before decoding. Default: 50M."
    )
    formats: list[ImageFormat] = Field(
        default=["jpeg", "png", "webp"],
        min_length=1,
        max_length=6,
        description="What is taken; the rest gets 415. Default: [jpeg, png, webp].",
    )
    batch: int = Field(
        default=16, ge=1, le=1000, description="Images that one request may have; more get 413. Default: 16."
    )
    queue: int = Field(default=64, ge=1, le=10000, description="Requests that may wait; more get 429. Default: 64.")
    body_timeout: Annotated[Duration, Between(1, 3600)] = Field(
        default=10,
        description="How long a request may stall: its headers come within this time, then at least 16Ki of its body, "
        "or its end, each time it has passed; else 408, from 1s to 1h. Default: 10s.",
    )
    memory: Annotated[Whole, AtLeast(MEMORY_LEAST_BYTES)] | None = Field(
        default=None,
        description="What requests in flight may take, bodies and pixels together, 16Mi at least; beyond it they wait "
        "or get 429. Default: what the container's limit leaves.",
    )
