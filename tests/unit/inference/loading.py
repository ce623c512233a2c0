"""Loads classifiers from documents and models that are made for a test."""

import json
from pathlib import Path
from typing import Any

import pytest

from classifier_inference.files.document import parse_document
from classifier_inference.files.sources import find_files, on_this_machine
from classifier_inference.model.loaded_classifier import LoadedClassifier, load_classifier
from classifier_inference.report.start_error import StartError
from classifier_inference.report.termination import Reason
from tests.tiny_model import COLOURS, build_document, build_model


def load(folder: Path, content: bytes | None = None, threads: int = 1, **changes: Any) -> LoadedClassifier:
    """Load a document with changes to its spec, from a folder that gets the model's content."""
    (folder / "model.onnx").write_bytes(build_model() if content is None else content)
    classifier = parse_document(json.dumps(build_document(folder, **changes)))
    files = find_files(classifier.spec, on_this_machine(None, lambda source: folder))
    return load_classifier(classifier, files, threads)


def refuse(reason: Reason, message: str, folder: Path, content: bytes | None = None, **changes: Any) -> None:
    with pytest.raises(StartError, match=message) as caught:
        load(folder, content, **changes)
    assert caught.value.failure.reason is reason


def change_model(folder: Path, **changes: Any) -> dict[str, Any]:
    return {"uri": f"file:{folder / 'model.onnx'}", "labels": {"inline": COLOURS}, **changes}
