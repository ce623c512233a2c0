"""What a classifier is: model, labels, preprocessing, limits, device. No I/O.

The same models read the object in the cluster, the revision that a pod mounts, and the file that `classifier serve`
takes. The operator's spec adds what only a cluster has.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from classifier_inference.amounts import AtLeast, Between, Duration, Whole
from classifier_inference.fields import Document, HeightWidth, Label, Name, Size, cel, cel_exactly_one, require_one
from classifier_inference.images_spec import Images
from classifier_inference.model_spec import Model
from classifier_inference.runtime_spec import Runtime
from classifier_inference.tracking_spec import PredictionLog, Storage, Tracking
from classifier_inference.uri_fields import Uri

API_VERSION = "imageclassifier.dev/v1alpha1"
KIND = "ImageClassifier"
CLUSTER_FIELDS = frozenset({"replicas", "rollout", "route", "pod"})
"""Fields of an object's spec that mean nothing to a server: it passes over them."""

MEMORY_LEAST_BYTES = 16 * 2**20
"""What requests may take at least, so that small images are answered however little there is."""

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


class Auth(Document):
    """Who may ask: whoever brings one of the API keys."""

    secret: Name = Field(
        description="A Secret of the object's namespace; the value of each of its data keys is an API key."
    )


class TestImage(Document):
    """An image by its address."""

    uri: Uri = Field(
        description="image://reference:tag/path, https://…, s3://bucket/key, "
        "models:/name@alias/path, or, with no cluster, file:path."
    )


class SelfTest(Document):
    """A golden image: a pod is ready only after the model has said this label for it."""

    image: TestImage = Field(description="The image.")
    label: Label = Field(description="What the model has to say: its best class, or one over model.threshold.")
    min_score: float = Field(default=0, ge=0, le=1, description="The confidence it needs at least. Default: 0.")


_TRACKED = "has(self.tracking) && has(self.tracking.mode) && self.tracking.mode != 'None'"
_HAS_LABELS_URI = "has(self.model.labels.uri)"


def _is_of_model(uri: str) -> str:
    return f"(!{uri}.matches('^models:/[^/@]+@') || {uri}.startsWith(self.model.uri + '/'))"


class ClassifierSpec(Document):
    """What a server needs to know to answer, and to log what it answered."""

    model_config = cel(
        (f"!has(self.predictionLog) || {_TRACKED}", "predictionLog needs tracking with mode Managed or External"),
        *(
            (f"{unless} || {_TRACKED}", f"{field} models:/ needs tracking with mode Managed or External: which MLflow")
            for field, unless in (
                ("model.uri", "!self.model.uri.startsWith('models:/')"),
                ("labels.uri", f"!{_HAS_LABELS_URI} || !self.model.labels.uri.startsWith('models:/')"),
                ("selfTest", "!has(self.selfTest) || self.selfTest.all(t, !t.image.uri.startsWith('models:/'))"),
            )
        ),
        *(
            (rule, f"an alias in {field} must be model.uri's own, so that model and files are of one version")
            for field, rule in (
                ("labels.uri", f"!{_HAS_LABELS_URI} || {_is_of_model('self.model.labels.uri')}"),
                ("selfTest", f"!has(self.selfTest) || self.selfTest.all(t, {_is_of_model('t.image.uri')})"),
            )
        ),
    )

    model: Model
    preprocess: Preprocess = Field(default=Preprocess(), description="Default: that of ImageNet models.")
    limits: Limits = Field(default=Limits(), description="What a request may ask of the server.")
    images: Images = Field(default=Images(), description="Which addresses a request may name. Default: none.")
    auth: Auth | None = Field(default=None, description="Who may ask. Default: whoever reaches it, without an API key.")
    top_k: int = Field(
        default=5,
        ge=1,
        le=1000,
        description="How many predictions an answer holds, without model.threshold. Default: 5.",
    )
    self_test: list[SelfTest] = Field(
        default=[], max_length=16, description="Golden images that gate readiness. Default: none."
    )
    runtime: Runtime = Field(default=Runtime(), description="The device that runs the model, and what it is given.")
    tracking: Tracking = Field(default=Tracking(), description="The MLflow server that predictions are logged to.")
    storage: Storage = Field(default=Storage(), description="The S3 store that artifacts lie in.")
    prediction_log: PredictionLog = Field(default=PredictionLog(), description="What is logged. Needs tracking.")

    @model_validator(mode="after")
    def _log_has_somewhere_to_go(self) -> Self:
        if self.tracking.mode == "None" and "prediction_log" in self.model_fields_set:
            raise ValueError("predictionLog needs tracking with mode Managed or External")
        return self

    @model_validator(mode="after")
    def _self_test_labels_exist(self) -> Self:
        labels = self.model.labels.inline
        for test in self.self_test:
            if labels is not None and test.label not in labels:
                raise ValueError(f"selfTest names the label {test.label!r}, which model.labels does not have")
        return self


class Classifier(Document):
    """A named classifier: what a revision's ConfigMap holds, and what a file for `classifier serve` comes down to."""

    name: str = Field(min_length=1, max_length=63)
    spec: ClassifierSpec


def _in_order(rgb: list[float], channels: str) -> list[float]:
    return rgb[::-1] if channels == "BGR" else rgb
