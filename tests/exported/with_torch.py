"""Export a small network from PyTorch by both of its exporters, with PyTorch's own scores for the photograph.

    python -m tests.exported.with_torch FOLDER

needs torch, onnx, onnxscript, numpy and Pillow, and nothing of this project.
"""

import sys
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tests.exported.photograph import CLASSES, normalise_photograph, note

MADE_WITH = f"torch {torch.__version__}"


def make_network() -> nn.Module:
    """Return a network of what image classifiers are made of, with weights that are always the same."""
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 16, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(16),
        nn.Hardswish(),
        nn.Conv2d(16, 16, 3, padding=1, groups=16),
        nn.ReLU6(),
        nn.Conv2d(16, 32, 1),
        nn.SiLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Dropout(0.2),
        nn.Linear(32, CLASSES),
    )
    with torch.no_grad():
        for layer in network:
            if isinstance(layer, nn.Linear):
                layer.weight *= 10  # so that scores differ
    return network.eval()


def export(folder: Path) -> None:
    """Write every model and what PyTorch says of the photograph."""
    network, values = make_network(), torch.from_numpy(normalise_photograph())
    with torch.no_grad():
        logits = network(values)
    names: dict[str, Any] = {"input_names": ["pixels"], "output_names": ["logits"]}
    softmax, axes = torch.softmax(logits, 1).numpy(), {"pixels": {0: "batch"}, "logits": {0: "batch"}}

    file = folder / "torchscript.onnx"
    torch.onnx.export(network, (values,), str(file), dynamo=False, dynamic_axes=axes, **names)
    note(folder, "torchscript", softmax, {}, {}, MADE_WITH)

    file = folder / "torchscript-batch-4.onnx"
    torch.onnx.export(network, (values.repeat(4, 1, 1, 1),), str(file), dynamo=False, **names)
    note(folder, "torchscript-batch-4", torch.sigmoid(logits).numpy(), {"scores": "sigmoid"}, {}, MADE_WITH)

    batch = torch.export.Dim("batch")
    two = values.repeat(2, 1, 1, 1)
    program = torch.onnx.export(network, (two,), dynamo=True, dynamic_shapes=({0: batch},), **names)
    assert program is not None
    program.save(str(folder / "dynamo.onnx"), external_data=True)
    note(folder, "dynamo", softmax, {"scores": "softmax"}, {}, MADE_WITH)

    half = network.half()
    file = folder / "torchscript-half.onnx"
    torch.onnx.export(half, (values.half(),), str(file), dynamo=False, dynamic_axes=axes, **names)
    note(folder, "torchscript-half", softmax, {}, {}, MADE_WITH)


if __name__ == "__main__":
    export(Path(sys.argv[1]))
