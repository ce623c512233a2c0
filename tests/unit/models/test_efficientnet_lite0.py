"""The sample model: its bytes, its numbers, and what it says of real photographs."""

import hashlib
from pathlib import Path

import numpy as np
import onnx
import pytest
import yaml
from PIL import Image

from classifier_inference.images.preprocess import prepare_image
from classifier_inference.images.sniff import sniff
from classifier_inference.model.quiet_onnxruntime import onnxruntime
from classifier_inference.spec.limits import Limits
from classifier_inference.spec.preprocessing import Preprocess
from models.efficientnet_lite0 import STAGES, build_model, fetch_weights
from models.sample import HERE, SHA256
from models.torch_checkpoint import Array
from tests.reference import reference
from tests.tiny_model import TO_STORED, encode
from tests.unit.inference.loading import load
from tests.unit.models.layers import convolve, normalise_batch

QUICKSTART = HERE.parent / "manifests" / "samples" / "quickstart.yaml"


@pytest.fixture(scope="module")
def weights() -> dict[str, Array]:
    return fetch_weights()


@pytest.fixture(scope="module")
def model(weights: dict[str, Array]) -> onnx.ModelProto:
    return build_model(weights)


@pytest.fixture(scope="module")
def session(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


def test_the_file_has_the_digest_that_build_page_and_sample_declare(model: onnx.ModelProto) -> None:
    assert hashlib.sha256(model.SerializeToString(deterministic=True)).hexdigest() == SHA256
    spec = yaml.safe_load(QUICKSTART.read_text())["spec"]
    assert spec["model"]["sha256"] == SHA256
    page = (HERE / "efficientnet-lite0.md").read_text()
    assert page.count(SHA256) == 2
    pasted = yaml.safe_load(page.split("```yaml\n")[1].split("```")[0])["spec"]
    assert pasted == {part: spec[part] for part in pasted}


def test_every_class_has_a_label_of_its_own() -> None:
    labels = (HERE / "imagenet_labels.txt").read_text().splitlines()
    assert len(labels) == len(set(labels)) == 1000
    assert [labels[index] for index in (281, 282, 285, 657, 967)] == [
        "tabby",
        "tiger cat",
        "Egyptian cat",
        "missile",
        "espresso",
    ]


@pytest.mark.parametrize(
    ("photo", "classes"),
    [("cat.jpg", {281, 282, 285}), ("espresso.jpg", {967}), ("rocket.jpg", {657})],
)
def test_photographs_are_what_they_show(session: onnxruntime.InferenceSession, photo: str, classes: set[int]) -> None:
    logits = session.run(["logits"], {"image": preprocess(HERE / "photos" / photo)})[0]
    assert int(np.argmax(logits)) in classes


@pytest.mark.parametrize("photo", sorted(path.name for path in (HERE / "photos").glob("*.jpg")))
def test_the_classifiers_scores_are_those_of_the_reference(
    tmp_path: Path, model: onnx.ModelProto, session: onnxruntime.InferenceSession, photo: str
) -> None:
    spec = yaml.safe_load(QUICKSTART.read_text())["spec"]
    content = (HERE / "photos" / photo).read_bytes()
    _, values = reference(content, Preprocess.model_validate(spec["preprocess"]))
    (logits,) = session.run(["logits"], {"image": values[None]})[0].astype(np.float64)
    wanted = np.exp(logits - logits.max())
    served = spec["model"] | {
        "uri": f"file:{tmp_path / 'model.onnx'}",
        "labels": {"uri": f"file:{HERE / 'imagenet_labels.txt'}"},
    }
    loaded = load(tmp_path, model.SerializeToString(deterministic=True), model=served, preprocess=spec["preprocess"])
    np.testing.assert_allclose(loaded.classify(sniff(content)).scores, wanted / wanted.sum(), rtol=0, atol=1e-4)


@pytest.mark.parametrize("orientation", TO_STORED)
def test_a_photo_is_the_same_however_the_camera_was_held(
    session: onnxruntime.InferenceSession, orientation: int
) -> None:
    photo, exif, method = Image.open(HERE / "photos" / "cat.jpg"), Image.Exif(), TO_STORED[orientation]
    exif[0x0112] = orientation
    content = encode(photo if method is None else photo.transpose(method), "JPEG", quality=90, exif=exif)
    spec = yaml.safe_load(QUICKSTART.read_text())["spec"]["preprocess"]
    asked = Preprocess.model_validate(spec | {"exif": "apply"})
    pixels, values = reference(content, asked)
    np.testing.assert_array_equal(prepare_image(content, asked, Limits()), pixels)
    assert int(np.argmax(session.run(["logits"], {"image": values[None]})[0])) == 282


def test_a_batch_gives_what_its_images_give_alone(session: onnxruntime.InferenceSession) -> None:
    batch = np.concatenate([preprocess(HERE / "photos" / name) for name in ("cat.jpg", "rocket.jpg")])
    together = session.run(["logits"], {"image": batch})[0]
    alone = np.concatenate([session.run(["logits"], {"image": image[None]})[0] for image in batch])
    np.testing.assert_allclose(together, alone, rtol=0, atol=1e-3)


def test_the_graph_computes_what_the_layers_of_the_reference_do(
    session: onnxruntime.InferenceSession, weights: dict[str, Array]
) -> None:
    image = preprocess(HERE / "photos" / "cat.jpg")
    logits = session.run(["logits"], {"image": image})[0][0]
    np.testing.assert_allclose(logits, reference_logits(image[0].astype(np.float64), weights), rtol=0, atol=1e-3)


def preprocess(path: Path) -> Array:
    """As the model's page says, with nothing but Pillow."""
    image = Image.open(path).convert("RGB")
    ratio = 256 / min(image.size)
    image = image.resize((round(image.width * ratio), round(image.height * ratio)), Image.Resampling.BICUBIC)
    left, top = (image.width - 224) // 2, (image.height - 224) // 2
    pixels = np.asarray(image.crop((left, top, left + 224, top + 224)), np.float32)
    return ((pixels - 127) / 128).transpose(2, 0, 1)[None]


def reference_logits(x: Array, weights: dict[str, Array]) -> Array:
    """The reference's forward pass, layer by layer and with batch normalisation apart, in float64."""

    def convolve_same(x: Array, name: str, stride: int = 1) -> Array:
        kernel = weights[f"{name}.weight"]
        side = kernel.shape[-1]
        total = max((-(-x.shape[-1] // stride) - 1) * stride + side - x.shape[-1], 0)
        return convolve(x, kernel, stride=stride, before=total // 2, after=total - total // 2)

    def normalise(x: Array, name: str) -> Array:
        return normalise_batch(x, weights, name)

    def relu6(x: Array) -> Array:
        return x.clip(0, 6)

    x = relu6(normalise(convolve_same(x, "_conv_stem", 2), "_bn0"))
    strides = [stage.stride if repeat == 0 else 1 for stage in STAGES for repeat in range(stage.repeats)]
    for index, stride in enumerate(strides):
        block, before = f"_blocks.{index}", x
        if f"{block}._expand_conv.weight" in weights:
            x = relu6(normalise(convolve_same(x, f"{block}._expand_conv"), f"{block}._bn0"))
        x = relu6(normalise(convolve_same(x, f"{block}._depthwise_conv", stride), f"{block}._bn1"))
        x = normalise(convolve_same(x, f"{block}._project_conv"), f"{block}._bn2")
        x = x + before if x.shape == before.shape else x
    x = relu6(normalise(convolve_same(x, "_conv_head"), "_bn1")).mean((1, 2))
    return np.asarray(weights["_fc.weight"] @ x + weights["_fc.bias"])
