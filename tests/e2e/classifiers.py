"""ImageClassifiers for the tests, the tiny model that they serve, and what is asked of their status."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.e2e.cluster import Object
from tests.tiny_model import COLOUR_CODES, COLOURS, SIDE, build_model, make_image

TINY_IMAGE = "imageclassifier/e2e-tiny:1"


def picture(colour: str) -> bytes:
    """Return a PNG of one colour."""
    return make_image(COLOUR_CODES[colour])


def write_image_context(folder: Path) -> None:
    """Write what the tiny model's image is built from: two models, labels and pictures, kilobytes in all."""
    (folder / "model.onnx").write_bytes(build_model())
    (folder / "other.onnx").write_bytes(build_model(factor=20))
    (folder / "labels.txt").write_text("".join(f"{colour}\n" for colour in COLOURS))
    for colour in COLOURS:
        (folder / f"{colour}.png").write_bytes(picture(colour))


def in_image(path: str) -> str:
    """Return the address of a file of the tiny model's image."""
    return f"image://{TINY_IMAGE}/{path}"


def classifier(name: str, namespace: str, **spec: Any) -> Object:
    """Return an ImageClassifier of the tiny model; each keyword replaces, or merges into, that part of its spec."""
    wanted: Object = {
        "model": {"uri": in_image("model.onnx"), "labels": {"inline": COLOURS}},
        "preprocess": {"resize": {"exact": [SIDE, SIDE]}, "mean": [0, 0, 0], "std": [1, 1, 1]},
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
