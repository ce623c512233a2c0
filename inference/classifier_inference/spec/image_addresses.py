"""Where images that requests name by their addresses may lie: fields of the object's spec. No I/O."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from classifier_inference.spec.fields import Document, Name, cel
from classifier_inference.spec.tracking import HttpAddress

IMAGES_KEY_ID_VARIABLE = "CLASSIFIER_IMAGES_ACCESS_KEY_ID"
IMAGES_KEY_VARIABLE = "CLASSIFIER_IMAGES_SECRET_ACCESS_KEY"
"""What the server finds the store's credentials under."""

_HOST = r"(\*\.)?[a-z0-9]([-a-z0-9.]*[a-z0-9])?(:[1-9][0-9]{0,4})?"
_BUCKET = r"s3://[a-z0-9][-.a-z0-9]{1,61}[a-z0-9]"

HostName = Annotated[str, Field(pattern=f"^{_HOST}$", max_length=260)]
AllowedName = Annotated[str, Field(pattern=f"^({_HOST}|{_BUCKET})$", max_length=260)]


class ImageStore(Document):
    """The S3 store of s3:// addresses, with credentials that open nothing else."""

    endpoint: HttpAddress | None = Field(
        default=None,
        description="http:// or https://. Default: AWS_ENDPOINT_URL_S3, where pod.env has it, else Amazon's.",
    )
    region: str | None = Field(
        default=None, pattern=r"^[-a-z0-9]+$", max_length=63, description="Its region. Default: us-east-1."
    )
    secret: Name | None = Field(
        default=None,
        description="A Secret with the keys accessKeyId and secretAccessKey, which ought to open nothing but these "
        "images. Default: no credentials.",
    )


class Images(Document):
    """Which addresses a request may name as its image_path."""

    model_config = cel(
        (
            "!has(self.private) || self.private.all(name, has(self.allow) && name in self.allow)",
            "private names what allow has",
        ),
        (
            "!has(self.s3) || has(self.allow) && self.allow.exists(name, name.startsWith('s3://'))",
            "s3 needs s3://bucket in allow",
        ),
    )

    allow: list[AllowedName] = Field(
        default=[],
        max_length=32,
        description="Hosts of https:// addresses (photos.example.com, *.example.com, photos.example.com:8443) and "
        "buckets (s3://photos). Default: none, every address is refused.",
    )
    private: list[HostName] = Field(
        default=[],
        max_length=32,
        description="Hosts among them that may have private addresses, such as one in the cluster. Default: none.",
    )
    s3: ImageStore | None = Field(default=None, description="Default: Amazon's, without credentials.")

    @model_validator(mode="after")
    def _is_of_a_piece(self) -> Self:
        if not set(self.private) <= set(self.allow):
            raise ValueError("private names what allow has")
        if self.s3 is not None and not any(name.startswith("s3://") for name in self.allow):
            raise ValueError("s3 needs s3://bucket in allow")
        return self
