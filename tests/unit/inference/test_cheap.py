"""What is done in a cheaper way gives what the plain way gives."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from classifier_inference.files.document import parse_document
from classifier_inference.model.loaded_classifier import find_best
from classifier_inference.model.onnx_model import Model
from tests.tiny_model import build_document, build_model


@given(
    scores=st.lists(st.sampled_from([0.0, 0.1, 0.25, 0.5, 1.0]), min_size=1, max_size=40),
    count=st.integers(1, 45),
)
def test_the_best_classes_are_those_of_a_whole_stable_sort(scores: list[float], count: int) -> None:
    values = np.array(scores)
    assert find_best(values, count).tolist() == np.argsort(-values, kind="stable")[:count].tolist()


def test_a_loaded_models_file_is_not_kept_in_memory(tmp_path: Path) -> None:
    content = build_model()
    before = sys.getrefcount(content)
    spec = parse_document(json.dumps(build_document(tmp_path))).spec
    model = Model(content, {}, spec, 3, 1)
    assert sys.getrefcount(content) == before
    assert model.width == 3


def test_importing_the_server_starts_no_threads() -> None:
    count = "import os, classifier_inference.model.loaded_classifier; print(len(os.listdir('/proc/self/task')))"
    environment = {name: value for name, value in os.environ.items() if name != "OPENBLAS_NUM_THREADS"}
    done = subprocess.run([sys.executable, "-c", count], env=environment, check=True, capture_output=True, text=True)
    assert done.stdout == "1\n"
