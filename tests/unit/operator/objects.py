"""Objects as an API server would send them."""

from typing import Any

from classifier_operator.settings import Settings
from classifier_operator.spec import ImageClassifier, parse_image_classifier

SPEC: dict[str, Any] = {
    "model": {"uri": "image://registry.test/m:1/model/model.onnx", "labels": {"inline": ["cat", "dog"]}},
}


def body_of(spec: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    given = {"name": "photos", "namespace": "team", "uid": "u-1", "generation": 4, "resourceVersion": "9"}
    return {"metadata": given | metadata, "spec": spec}


def classifier_of(**changes: Any) -> ImageClassifier:
    return parse_image_classifier(body_of(SPEC | changes))


SETTINGS = Settings(
    server_image_cpu="server:1", server_image_gpu="server:1-gpu", mlflow_image="mlflow:1", minio_image="minio:1"
)
