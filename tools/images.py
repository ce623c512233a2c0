"""Builds the project's container images. `python -m tools.images` builds all but the gpu image, which is gigabytes."""

import sys
from dataclasses import dataclass, field
from pathlib import Path

from models import sample
from tools.terminal import CommandError, console, run, step

ROOT = Path(__file__).resolve().parent.parent
VERSION = "0.1.0"


@dataclass(frozen=True)
class Image:
    """An image: its name and tag, and what `docker build` makes it from."""

    reference: str
    dockerfile: Path
    context: Path = ROOT
    build_args: dict[str, str] = field(default_factory=dict)


SERVER_CPU = Image(f"imageclassifier/server:{VERSION}", ROOT / "inference" / "Dockerfile")
SERVER_GPU = Image(
    f"imageclassifier/server:{VERSION}-gpu", ROOT / "inference" / "Dockerfile", build_args={"VARIANT": "gpu"}
)
MINIO_REFERENCE = "pgsty/minio:latest"
"""Not built here: loaded from this machine where it is there, else pulled."""
OPERATOR = Image(f"imageclassifier/operator:{VERSION}", ROOT / "operator" / "Dockerfile")
MLFLOW = Image(f"imageclassifier/mlflow:{VERSION}", ROOT / "tracking" / "Dockerfile")
MODEL = Image(sample.REFERENCE, ROOT / "models" / "Dockerfile", sample.IMAGE_ROOT)


def build_image(image: Image) -> str:
    """Build the image and return its id (sha256:…). Raises CommandError with the end of the build's output."""
    if image is MODEL:
        sample.ensure_built(console)
    arguments = [f"--build-arg={name}={value}" for name, value in image.build_args.items()]
    run("docker", "build", *arguments, "-t", image.reference, "-f", str(image.dockerfile), str(image.context))
    return image_id(image.reference)


def build_pinned(image: Image) -> str:
    """Build the image and return a reference that names its content too: another build has another name.

    Kubernetes restarts a pod when its image's name changes, never when what lies behind the name does.
    """
    digest = build_image(image).removeprefix("sha256:")
    pinned = f"{image.reference}-{digest[:12]}"
    run("docker", "tag", image.reference, pinned)
    return pinned


def image_id(reference: str) -> str:
    """Return the id of an image of this machine. Raises CommandError if there is none of that name."""
    return run("docker", "image", "inspect", "--format", "{{.Id}}", reference).strip()


def has_image(reference: str) -> bool:
    """Say whether this machine has an image of that name."""
    try:
        image_id(reference)
    except CommandError:
        return False
    return True


def main() -> None:
    """Build every image but the gpu one, or only that with `--gpu`."""
    for image in (SERVER_GPU,) if "--gpu" in sys.argv[1:] else (SERVER_CPU, OPERATOR, MLFLOW, MODEL):
        with step(f"Building {image.reference}"):
            build_image(image)


if __name__ == "__main__":
    try:
        main()
    except CommandError as error:
        sys.exit(str(error))
