"""Makes models/build: what the sample model's image holds, laid out by the image's reference.

`python -m models.sample` does nothing where the files are there already and are those declared here.
"""

import hashlib
import shutil
from pathlib import Path

from rich.console import Console

from models.efficientnet_lite0 import build_model, fetch_weights

REFERENCE = "imageclassifier/efficientnet-lite0:1.0.0"
SHA256 = "e0929be257cf6d168b88824d9f7bf88d147ca386f22b31517c5d004bfdea8e4b"

HERE = Path(__file__).resolve().parent
BUILD = HERE / "build"
IMAGE_ROOT = BUILD / REFERENCE
"""The image's root directory: `image://REFERENCE/path` is the file IMAGE_ROOT/path."""


class DigestError(Exception):
    """The built file is not the one that is declared."""


def ensure_built(console: Console) -> Path:
    """Make what is missing or outdated under IMAGE_ROOT, saying so; return IMAGE_ROOT. Raises DigestError."""
    model = IMAGE_ROOT / "model" / "model.onnx"
    if not _is_declared(model):
        _write_model(model, console)
    shutil.copyfile(HERE / "imagenet_labels.txt", model.with_name("labels.txt"))
    shutil.copytree(HERE / "photos", IMAGE_ROOT / "photos", dirs_exist_ok=True)
    return IMAGE_ROOT


def _is_declared(model: Path) -> bool:
    return model.is_file() and hashlib.sha256(model.read_bytes()).hexdigest() == SHA256


def _write_model(path: Path, console: Console) -> None:
    with console.status("Reading the weights") as status:
        weights = fetch_weights()
        status.update(f"Building the graph of {len(weights)} tensors")
        content = build_model(weights).SerializeToString(deterministic=True)
    digest = hashlib.sha256(content).hexdigest()
    if digest != SHA256:
        raise DigestError(f"the ONNX file's SHA-256 is {digest}, not {SHA256} as declared in {__file__}")
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_bytes(content)
    part.replace(path)
    console.print(f"  EfficientNet-Lite0, {len(content) / 1e6:.1f} MB, SHA-256 {digest[:12]}…", highlight=False)


if __name__ == "__main__":
    ensure_built(Console())
