"""Reads an ImageClassifier from a file: a revision's classifier.json, or the manifest that `kubectl apply` takes."""

from pathlib import Path
from typing import Any

import orjson
import yaml
from pydantic import ValidationError

from classifier_inference.report.start_error import StartError
from classifier_inference.report.termination import Reason
from classifier_inference.spec.classifier import API_VERSION, CLUSTER_FIELDS, KIND, Classifier


def read_document(path: Path) -> Classifier:
    """Return the file's ImageClassifier. Raises StartError that names the field that is wrong."""
    try:
        return parse_document(path.read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise _invalid(f"{path} can't be read: {getattr(error, 'strerror', None) or 'it is not UTF-8'}") from None


def parse_document(text: str) -> Classifier:
    """Return the one ImageClassifier in a YAML or JSON text. Raises StartError that names the field that is wrong."""
    found = [part for part in _load(text) if isinstance(part, dict) and part.get("kind") == KIND]
    if len(found) != 1:
        raise _invalid(f"the file holds {len(found)} objects of kind {KIND}; one is needed")
    return _parse_object(found[0])


def _load(text: str) -> list[Any]:
    """Return the documents in a text. What is JSON is read as such: YAML folds and refuses some of its characters."""
    try:
        return [orjson.loads(text)]
    except orjson.JSONDecodeError:
        pass
    try:
        return list(yaml.safe_load_all(text))
    except (yaml.YAMLError, RecursionError) as error:
        raise _invalid(f"neither JSON nor YAML: {' '.join(str(error).split())}") from None


def _parse_object(document: dict[str, Any]) -> Classifier:
    if document.get("apiVersion") != API_VERSION:
        raise _invalid(f"apiVersion must be {API_VERSION}, not {document.get('apiVersion')}")
    metadata, spec = document.get("metadata"), document.get("spec")
    if not isinstance(metadata, dict) or not isinstance(spec, dict):
        raise _invalid("metadata and spec are needed")
    served = {key: value for key, value in spec.items() if key not in CLUSTER_FIELDS}
    try:
        return Classifier.model_validate({"name": metadata.get("name"), "spec": served})
    except ValidationError as error:
        raise _invalid("; ".join(_render(part) for part in error.errors(include_input=False))) from None


def _render(error: Any) -> str:
    where = ".".join(str(part) for part in error["loc"])
    return f"{'metadata.name' if where == 'name' else where}: {error['msg']}"


def _invalid(message: str) -> StartError:
    return StartError(Reason.SPEC_INVALID, message)
