"""The photograph that frameworks and server are compared on, and what the former say of it: Pillow and numpy alone."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

FOLDER = Path(__file__).parent
PHOTOGRAPH = FOLDER.parents[1] / "models/photos/cat.jpg"
SIDE = 32
CLASSES = 5
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
PREPROCESS = {"resize": {"exact": [SIDE, SIDE]}, "interpolation": "bilinear"}


def read_photograph() -> NDArray[np.uint8]:
    """Return the photograph's pixels, SIDE x SIDE x RGB."""
    with Image.open(PHOTOGRAPH) as image:
        return np.asarray(image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BILINEAR))


def normalise_photograph() -> NDArray[np.float32]:
    """Return the photograph as torchvision's ToTensor and Normalize make it, 1 x RGB x SIDE x SIDE."""
    pixels = read_photograph().astype(np.float32) / 255
    values = (pixels - np.array(MEAN, np.float32)) / np.array(STD, np.float32)
    return np.ascontiguousarray(values.transpose(2, 0, 1)[np.newaxis])


def note(
    folder: Path, name: str, scores: NDArray[Any], model: dict[str, Any], preprocess: dict[str, Any], made_with: str
) -> None:
    """Write what the framework itself says of the photograph, and the spec that has a server say the same."""
    content = {
        "made_with": made_with,
        "scores": [round(float(score), 7) for score in np.asarray(scores, np.float64).ravel()],
        "model": model,
        "preprocess": PREPROCESS | preprocess,
    }
    (folder / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n")
