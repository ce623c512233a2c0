"""ImageClassifiers for the tests, the tiny model that they serve, and what is asked of their status."""

import copy
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
from onnx import TensorProto, helper
from PIL import Image

from tests.e2e.cluster import Object

TINY_IMAGE = "imageclassifier/e2e-tiny:1"
COLOURS = ["red", "green", "blue"]
SIZE = 8


def tiny_model(order: tuple[int, int, int] = (0, 1, 2)) -> bytes:
    """Return an ONNX model whose three logits are the mean red, green and blue of a picture, in the order given."""
    pixels = helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["batch", 3, SIZE, SIZE])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 3])
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMean", ["pixels", "sides"], ["means"], keepdims=0),
            helper.make_node("Gather", ["means", "order"], ["ordered"], axis=1),
            helper.make_node("Mul", ["ordered", "gain"], ["logits"]),
        ],
        "mean-colour",
        [pixels],
        [logits],
        [
            helper.make_tensor("sides", TensorProto.INT64, [2], [2, 3]),
            helper.make_tensor("order", TensorProto.INT64, [3], list(order)),
            helper.make_tensor("gain", TensorProto.FLOAT, [1], [10.0]),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def picture(colour: str) -> bytes:
    """Return a PNG of one colour."""
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16), {"green": "lime"}.get(colour, colour)).save(buffer, "PNG")
    return buffer.getvalue()


def write_image_context(folder: Path) -> None:
    """Write what the tiny model's image is built from: two models, labels and pictures, kilobytes in all."""
    (folder / "rgb.onnx").write_bytes(tiny_model())
    (folder / "bgr.onnx").write_bytes(tiny_model((2, 1, 0)))
    (folder / "labels.txt").write_text("".join(f"{colour}\n" for colour in COLOURS))
    for colour in COLOURS:
        (folder / f"{colour}.png").write_bytes(picture(colour))


def in_image(path: str) -> str:
    """Return the address of a file of the tiny model's image."""
    return f"image://{TINY_IMAGE}/{path}"


def classifier(name: str, namespace: str, **spec: Any) -> Object:
    """Return an ImageClassifier of the tiny model; each keyword replaces, or merges into, that part of its spec."""
    wanted: Object = {
        "model": {"uri": in_image("rgb.onnx"), "labels": {"inline": COLOURS}},
        "preprocess": {"resize": {"exact": [SIZE, SIZE]}, "mean": [0, 0, 0], "std": [1, 1, 1]},
        "runtime": {"resources": {"requests": {"cpu": "10m", "memory": "64Mi"}}},
    }
    return {
        "apiVersion": "imageclassifier.dev/v1alpha1",
        "kind": "ImageClassifier",
        "metadata": {"name": name, "namespace": namespace},
        "spec": merged(wanted, spec),
    }


def merged(base: Object, changes: Object) -> Object:
    """Return the base with the changes in it, as a JSON merge patch would have it."""
    result = copy.deepcopy(base)
    for key, value in changes.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict) and isinstance(result.get(key), dict):
            result[key] = merged(result[key], value)
        else:
            result[key] = value
    return result


def ingress(name: str, namespace: str) -> Object:
    """Return a route of a host of its own."""
    return {"ingress": {"host": host(name, namespace)}}


def host(name: str, namespace: str) -> str:
    return f"{name}.{namespace}.test"


def condition(found: Object | None, kind: str) -> Object:
    """Return a condition of an object's status; {} where there is none."""
    conditions = ((found or {}).get("status") or {}).get("conditions") or []
    return next((each for each in conditions if each["type"] == kind), {})


def has(kind: str, status: str, reason: str | None = None) -> Callable[[Object | None], bool]:
    """Return a test for: the object's condition says this, of the object's present generation."""

    def holds(found: Object | None) -> bool:
        if found is None:
            return False
        said = condition(found, kind)
        return (
            said.get("status") == status
            and reason in (None, said.get("reason"))
            and said.get("observedGeneration") == found["metadata"]["generation"]
        )

    return holds


ready = has("Ready", "True")


def is_ready(pod: Object) -> bool:
    """Say whether a pod's readiness probe passes."""
    conditions = pod["status"].get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
