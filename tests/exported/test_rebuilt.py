"""The models beside this file are what today's exporters write. Run by hand: the frameworks are no dependencies.

    TORCH_PYTHON=… KERAS_PYTHON=… make test-exporters

each the interpreter of an environment that has what with_torch.py and with_keras.py ask for; what with_quantisation.py
asks for is here.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from tests.exported.photograph import FOLDER

ROOT = FOLDER.parents[1]
MODELS = {
    "torch": ["torchscript", "torchscript-batch-4", "torchscript-half", "dynamo"],
    "keras": ["keras", "keras-uint8", "keras-labels"],
    "quantisation": ["qdq"],
}


@pytest.mark.parametrize("framework", MODELS)
def test_the_script_makes_models_of_the_same_scores_and_signature(framework: str, tmp_path: Path) -> None:
    python = os.environ.get(f"{framework.upper()}_PYTHON", sys.executable)
    subprocess.run([python, "-m", f"tests.exported.with_{framework}", tmp_path], cwd=ROOT, check=True)
    for name in MODELS[framework]:
        made, kept = (json.loads((folder / f"{name}.json").read_text()) for folder in (tmp_path, FOLDER))
        np.testing.assert_allclose(made["scores"], kept["scores"], atol=1e-4)
        new, old = (onnxruntime.InferenceSession(folder / f"{name}.onnx") for folder in (tmp_path, FOLDER))
        for one, other in ((new.get_inputs(), old.get_inputs()), (new.get_outputs(), old.get_outputs())):
            assert [(node.name, node.type, node.shape) for node in one] == [
                (node.name, node.type, node.shape) for node in other
            ]
