"""Models as PyTorch's and Keras's exporters and ONNX Runtime's quantiser write them: scores are the framework's own."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.exported.photograph import CLASSES, FOLDER, PHOTOGRAPH
from tests.integration.server.conftest import Start

TOLERANCES = {"torchscript-half": 1e-2}
NAMES = sorted(path.stem for path in FOLDER.glob("*.onnx"))


@pytest.mark.parametrize("name", NAMES)
def test_the_scores_for_a_photograph_are_the_frameworks(name: str, start: Start, tmp_path: Path) -> None:
    noted = json.loads((FOLDER / f"{name}.json").read_text())
    folder = tmp_path / "exported"
    folder.mkdir()
    for file in FOLDER.glob(f"{name}.onnx*"):
        shutil.copy(file, folder)
    labels = {"inline": [f"class {index}" for index in range(CLASSES)]}
    model = {"uri": f"file:{folder / name}.onnx", "labels": labels, **noted["model"]}
    server = start(model=model, preprocess=noted["preprocess"], topK=CLASSES).wait_until_ready()
    photograph = PHOTOGRAPH.read_bytes()
    with server.client() as client:
        answer = client.post("/api/v1/predict", content=photograph).json()
    found = {one["class_id"]: one["confidence"] for one in answer["predictions"]}
    threshold = noted["model"].get("threshold", -1)
    wanted = {index: score for index, score in enumerate(noted["scores"]) if score > threshold}
    assert found.keys() == wanted.keys()
    given = [found[index] for index in wanted]
    np.testing.assert_allclose(given, list(wanted.values()), atol=TOLERANCES.get(name, 1e-4))


def test_there_is_a_model_of_every_exporter() -> None:
    assert {name.partition("-")[0] for name in NAMES} == {"torchscript", "dynamo", "keras", "qdq"}
