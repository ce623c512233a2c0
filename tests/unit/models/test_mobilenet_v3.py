"""MobileNetV3: torchvision's layers under torchvision's names, and weights that are those asked for."""

import dataclasses
import hashlib
from pathlib import Path

import numpy as np
import onnx
import pytest

from classifier_inference.model.quiet_onnxruntime import onnxruntime
from models.mobilenet_v3 import build_model, fetch_weights, main, make_folder, seed_weights
from models.mobilenet_v3_layout import ARCHITECTURES, Architecture, list_shapes
from models.sample import HERE
from models.torch_checkpoint import Array
from tests.unit.models.checkpoints import write_checkpoint
from tests.unit.models.layers import convolve, normalise_batch

PARAMETERS = {"large": 5_483_032, "small": 2_542_856}
"""As torchvision documents them."""

KNOWN = {
    "large": {
        "features.0.0.weight": (16, 3, 3, 3),
        "features.1.block.0.0.weight": (16, 1, 3, 3),
        "features.1.block.1.0.weight": (16, 16, 1, 1),
        "features.4.block.1.0.weight": (72, 1, 5, 5),
        "features.4.block.2.fc1.weight": (24, 72, 1, 1),
        "features.4.block.2.fc2.bias": (72,),
        "features.4.block.3.1.running_var": (40,),
        "features.13.block.2.fc1.weight": (168, 672, 1, 1),
        "features.16.0.weight": (960, 160, 1, 1),
        "classifier.0.weight": (1280, 960),
        "classifier.3.weight": (1000, 1280),
    },
    "small": {
        "features.1.block.0.0.weight": (16, 1, 3, 3),
        "features.1.block.1.fc1.weight": (8, 16, 1, 1),
        "features.1.block.2.0.weight": (16, 16, 1, 1),
        "features.4.block.2.fc1.bias": (24,),
        "features.12.0.weight": (576, 96, 1, 1),
        "classifier.0.weight": (1024, 576),
        "classifier.3.bias": (1000,),
    },
}
"""Names and shapes in torchvision's checkpoints."""

sizes = pytest.mark.parametrize("size", ARCHITECTURES)


def make_weights(architecture: Architecture) -> dict[str, Array]:
    """Seeded weights whose batch normalisation and biases do something."""
    random = np.random.default_rng(1)
    weights = seed_weights(architecture, 1)
    for name, values in weights.items():
        if values.ndim == 1:
            weights[name] = (values + random.uniform(0, 0.3, values.shape)).astype(np.float32)
    return weights


@sizes
def test_the_parameters_are_torchvisions(size: str) -> None:
    shapes = list_shapes(ARCHITECTURES[size])
    learned = {name: shape for name, shape in shapes.items() if "running_" not in name}
    assert sum(int(np.prod(shape)) for shape in learned.values()) == PARAMETERS[size]
    assert {name: shapes[name] for name in KNOWN[size]} == KNOWN[size]


@sizes
def test_the_graph_computes_what_the_layers_do(size: str) -> None:
    architecture = ARCHITECTURES[size]
    weights = make_weights(architecture)
    image = np.random.default_rng(2).normal(size=(3, 224, 224))
    session = open_session(build_model(architecture, weights))
    logits = session.run(["logits"], {"image": np.stack([image, -image]).astype(np.float32)})[0]
    assert logits.shape == (2, 1000)
    wanted = reference_logits(image, weights, architecture)
    assert wanted.std() > 0.01
    np.testing.assert_allclose(logits[0], wanted, rtol=0, atol=1e-3 * np.abs(wanted).max())


@sizes
def test_each_layer_has_one_kernel_and_one_bias_and_blocks_excite_where_they_should(size: str) -> None:
    architecture = ARCHITECTURES[size]
    graph = build_model(architecture, seed_weights(architecture, 0)).graph
    assert len(graph.initializer) == 2 * sum(node.op_type in {"Conv", "Gemm"} for node in graph.node)
    weighing = [node for node in graph.node if node.op_type == "HardSigmoid"]
    assert len(weighing) == sum(block.excites for block in architecture.blocks)


@pytest.mark.parametrize("archive", [True, False], ids=["since 1.6", "before 1.6"])
def test_torchvisions_file_gives_the_weights_that_it_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, archive: bool
) -> None:
    given = make_weights(ARCHITECTURES["small"])
    tracked = {
        name.replace("running_var", "num_batches_tracked"): np.array(3, np.int64)
        for name in given
        if name.endswith("running_var")
    }
    path = tmp_path / "weights.pth"
    write_checkpoint(path, {**given, **tracked}, archive=archive, monkeypatch=monkeypatch)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    architecture = dataclasses.replace(ARCHITECTURES["small"], sha256=digest)
    built = build_model(architecture, fetch_weights(architecture, path))
    assert built == build_model(architecture, given)


def test_another_file_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(b"other")
    assert main(["large", "--checkpoint", str(path)]) == 1
    assert ARCHITECTURES["large"].sha256 in capsys.readouterr().err


def test_an_address_that_cannot_be_reached_is_named_with_a_way_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    away = dataclasses.replace(ARCHITECTURES["small"], url="http://127.0.0.1:9/weights.pth")
    monkeypatch.setitem(ARCHITECTURES, "small", away)
    assert main(["small"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("http://127.0.0.1:9/weights.pth can't be downloaded: ")
    assert "--checkpoint" in said
    assert "--seed" in said


def test_a_seed_always_gives_the_same_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("models.mobilenet_v3.BUILD", tmp_path)
    contents = []
    for seed in ("0", "0", "1"):
        assert main(["small", "--seed", seed]) == 0
        contents.append((make_folder(ARCHITECTURES["small"], int(seed)) / "model.onnx").read_bytes())
    assert contents[0] == contents[1] != contents[2]


def test_the_page_says_where_the_weights_are() -> None:
    page = (HERE / "mobilenet-v3.md").read_text()
    for architecture in ARCHITECTURES.values():
        assert architecture.url in page
        assert architecture.sha256 in page


def open_session(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


def reference_logits(x: Array, weights: dict[str, Array], architecture: Architecture) -> Array:
    """The forward pass of torchvision's modules, as its state dict names them, in float64."""

    def unit(x: Array, name: str, stride: int = 1) -> Array:
        kernel = weights[f"{name}.0.weight"]
        around = (kernel.shape[-1] - 1) // 2
        x = convolve(x, kernel.astype(np.float64), stride=stride, before=around, after=around)
        return normalise_batch(x, weights, f"{name}.1")

    def hard_swish(x: Array) -> Array:
        return np.asarray(x * np.clip(x + 3, 0, 6) / 6)

    def relu(x: Array) -> Array:
        return np.asarray(np.maximum(x, 0))

    def dense(x: Array, name: str) -> Array:
        return np.asarray(weights[f"{name}.weight"].squeeze() @ x + weights[f"{name}.bias"])

    x = hard_swish(unit(x, "features.0", 2))
    for index, block in enumerate(architecture.blocks, start=1):
        name, activate, before = f"features.{index}.block", hard_swish if block.hard_swish else relu, x
        parts = sorted({int(key.split(".")[3]) for key in weights if key.startswith(f"{name}.")})
        for part in parts:
            prefix = f"{name}.{part}"
            if f"{prefix}.fc1.weight" in weights:
                means = dense(relu(dense(x.mean((1, 2)), f"{prefix}.fc1")), f"{prefix}.fc2")
                x = x * (np.clip(means + 3, 0, 6) / 6)[:, None, None]
            elif part == parts[-1]:
                x = unit(x, prefix)
            else:
                depthwise = weights[f"{prefix}.0.weight"].shape[1] == 1
                x = activate(unit(x, prefix, block.stride if depthwise else 1))
        x = x + before if x.shape == before.shape else x
    x = hard_swish(unit(x, f"features.{len(architecture.blocks) + 1}")).mean((1, 2))
    return dense(hard_swish(dense(x, "classifier.0")), "classifier.3")
