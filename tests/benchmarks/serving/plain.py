"""What others serve a classifier with: plain Pillow, numpy and ONNX Runtime. Imports nothing of ours."""

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from PIL import Image

TOP = 5


@dataclass(frozen=True)
class Preprocess:
    """The few fields of `preprocess` that the benchmark's models need."""

    side: int
    crop: int
    interpolation: str
    scale: float
    mean: list[float]
    std: list[float]

    def apply(self, content: bytes) -> NDArray[np.float32]:
        """Return the model's input, 1 x 3 x crop x crop, of an encoded image."""
        image: Image.Image = Image.open(BytesIO(content)).convert("RGB")
        ratio = self.side / min(image.size)
        resized = (int(image.width * ratio), int(image.height * ratio))
        image = image.resize(resized, Image.Resampling[self.interpolation.upper()])
        left, top = round((image.width - self.crop) / 2), round((image.height - self.crop) / 2)
        image = image.crop((left, top, left + self.crop, top + self.crop))
        mean, std = np.asarray(self.mean, np.float32), np.asarray(self.std, np.float32)
        values = (np.asarray(image).astype(np.float32) / np.float32(self.scale) - mean) / std
        return np.ascontiguousarray(values.transpose(2, 0, 1)[np.newaxis])


class Plain:
    """A session with labels and preprocessing."""

    def __init__(self, model: Path, preprocess: Preprocess, threads: int) -> None:
        """Load model.onnx with the labels.txt beside it; 0 threads are ONNX Runtime's default."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self._session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        self._labels = model.with_name("labels.txt").read_text().splitlines()
        self._preprocess = preprocess

    def classify(self, content: bytes) -> list[dict[str, Any]]:
        """Return the best classes of an encoded image."""
        (logits,) = self._session.run(None, {"image": self._preprocess.apply(content)})[0]
        powers = np.exp(logits - logits.max())
        scores = powers / powers.sum()
        return [{"label": self._labels[index], "score": float(scores[index])} for index in np.argsort(-scores)[:TOP]]
