"""Golden images, by which a pod shows before it is ready that it answers as it should. No I/O."""

from pydantic import Field

from classifier_inference.spec.fields import Document, Label
from classifier_inference.spec.uri_fields import Uri


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
