"""From an image to the model's input, as the object declares it. No I/O."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from classifier_inference.spec.fields import Document, HeightWidth, Size, cel, cel_exactly_one, require_one

IMAGENET_MEAN = [0.485, 0.456, 0.406]
IMAGENET_STD = [0.229, 0.224, 0.225]
CHANNEL_COUNTS = {"RGB": 3, "BGR": 3, "L": 1}


class Resize(Document):
    """How an image is resized before cropping: exactly one of shorterSide, exact and pad."""

    model_config = cel_exactly_one("shorterSide", "exact", "pad")

    shorter_side: Size | None = Field(
        default=None, description="The shorter side's length in pixels; the longer keeps the aspect ratio."
    )
    exact: HeightWidth | None = Field(default=None, description="[height, width], whatever the aspect ratio.")
    pad: HeightWidth | None = Field(
        default=None, description="[height, width]: fitted inside, centred on the background."
    )

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        return require_one(self, "shorterSide", "exact", "pad")


class Preprocess(Document):
    """From an image to the model's input, as Pillow does it: resize, crop, then (pixel / scale - mean) / std."""

    model_config = cel(
        (
            "has(self.crop) || !has(self.resize) || !has(self.resize.shorterSide) || self.resize.shorterSide >= 224",
            "crop, which is 224 where it is absent, must not be over resize.shorterSide",
        ),
        *(
            (f"!has(self.crop) || {rule}", "crop must not be over what resize leaves")
            for rule in (
                "has(self.resize) || self.crop <= 256",
                "!has(self.resize) || !has(self.resize.shorterSide) || self.crop <= self.resize.shorterSide",
                "!has(self.resize) || !has(self.resize.exact) || self.resize.exact.all(side, self.crop <= side)",
                "!has(self.resize) || !has(self.resize.pad) || self.resize.pad.all(side, self.crop <= side)",
            )
        ),
        *(
            (
                f"!has(self.{field}) || self.{field}.size() == (has(self.channels) && self.channels == 'L' ? 1 : 3)",
                f"{field} needs one value a channel",
            )
            for field in ("mean", "std")
        ),
    )

    resize: Resize = Field(
        default=Resize(shorter_side=256),
        description="Exactly one of shorterSide, exact and pad. Default: {shorterSide: 256}.",
    )
    crop: Size | None = Field(
        default=None,
        description="The side of the square cut from the centre. Default: 224 with shorterSide, else no crop.",
    )
    interpolation: Literal["nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"] = Field(
        default="bilinear", description="Pillow's filter of that name. Default: bilinear."
    )
    channels: Literal["RGB", "BGR", "L"] = Field(default="RGB", description="Channel order. Default: RGB.")
    scale: float = Field(default=255, gt=0, description="What pixels are divided by. Default: 255; 1 for uint8.")
    mean: list[float] | None = Field(
        default=None,
        min_length=1,
        max_length=3,
        description="One a channel. Default: ImageNet's; 0.5 for L; none for uint8 models.",
    )
    std: list[Annotated[float, Field(gt=0)]] | None = Field(
        default=None,
        min_length=1,
        max_length=3,
        description="One a channel. Default: ImageNet's; 0.5 for L; none for uint8 models.",
    )
    layout: Literal["NCHW", "NHWC"] = Field(default="NCHW", description="The input's layout. Default: NCHW.")
    exif: Literal["ignore", "apply"] = Field(
        default="ignore", description="Whether the EXIF orientation is applied. Default: ignore."
    )
    background: str = Field(
        default="white",
        pattern=r"^(white|black|grey|#[0-9a-fA-F]{6})$",
        description="What lies under transparent pixels and padding: white, black, grey or #rrggbb. Default: white.",
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        channels = CHANNEL_COUNTS[self.channels]
        for name, values in (("mean", self.mean), ("std", self.std)):
            if values is not None and len(values) != channels:
                raise ValueError(f"{name} needs {channels} value(s), one a channel of {self.channels}")
        side, crop = self.resize.shorter_side, self.effective_crop
        if side is not None and crop is not None and crop > side:
            raise ValueError(f"crop ({crop}) must not be over resize.shorterSide ({side})")
        box = self.resize.exact or self.resize.pad
        if box is not None and crop is not None and crop > min(box):
            raise ValueError(f"crop ({crop}) must not be over either side of resize ({box[0]}x{box[1]})")
        return self

    @property
    def effective_crop(self) -> int | None:
        """The crop's side in pixels, or None for no crop."""
        return 224 if self.crop is None and self.resize.shorter_side is not None else self.crop

    @property
    def output_size(self) -> tuple[int, int]:
        """(height, width) of what the model gets, in pixels."""
        crop = self.effective_crop
        if crop is not None:
            return crop, crop
        height, width = self.resize.exact or self.resize.pad or (0, 0)
        return height, width

    @property
    def effective_mean(self) -> list[float]:
        """One value a channel, in units of pixel / scale."""
        return self.mean or ([0.5] if self.channels == "L" else _in_order(IMAGENET_MEAN, self.channels))

    @property
    def effective_std(self) -> list[float]:
        """One value a channel, in units of pixel / scale."""
        return self.std or ([0.5] if self.channels == "L" else _in_order(IMAGENET_STD, self.channels))


def _in_order(rgb: list[float], channels: str) -> list[float]:
    return rgb[::-1] if channels == "BGR" else rgb
