"""Puts a model and its labels into a store, and says how an object names them."""

import os
import re
import tempfile
import time
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import yaml

from classifier_inference.files.digest import digest_model, list_model_files, map_file
from classifier_inference.files.labels import read_label_file
from classifier_inference.files.locate import DESCRIPTION
from classifier_inference.report.start_error import StartError
from classifier_inference.report.termination import Reason
from classifier_inference.spec.uri import ModelsUri, S3Uri, parse_uri
from classifier_inference.stores.clients import Places, Stores
from classifier_inference.stores.mlflow_api.run_client import MlflowClient
from classifier_inference.stores.mlflow_api.run_data import Run
from classifier_inference.stores.s3.folder import S3Folder
from classifier_inference.stores.s3.objects import S3Store
from classifier_inference.stores.store_error import StoreError

FOLDER = "model"
"""The folder of a run's artifacts that the model lies in, as MLflow's own clients call it."""
_BUCKET = re.compile(r"s3://[a-z0-9][-.a-z0-9]{1,61}[a-z0-9]/?")
_Upload = Callable[[Path, str], object]


def push_model(model: Path, labels: Path, to: str, places: Places, ca_file: Path | None) -> str:
    """Put the model, every file that its graph names and its labels there; return the `model:` block that names them.

    Raises StartError, also for what no server could load: nothing is uploaded then.
    """
    files = {model.name: model, f"labels{labels.suffix}": labels}
    try:
        files |= list_model_files(map_file(model), model.parent)
        read_label_file(labels)
        sha256 = digest_model(model, model.parent)
    except OSError as error:
        raise StartError(Reason.MODEL_NOT_FOUND, f"{error.filename} can't be read: {error.strerror}") from None
    try:
        with Stores(places, ca_file, os.environ) as stores:
            uris = _push(files, model.name, to, stores)
    except StoreError as error:
        raise StartError(Reason.MODEL_UNREACHABLE, f"{to}: {error}") from None
    block = {"model": {"uri": uris[0], "sha256": sha256, "labels": {"uri": uris[1]}}}
    return yaml.safe_dump(block, sort_keys=False, width=1000)


def _push(files: Mapping[str, Path], model: str, to: str, stores: Stores) -> tuple[str, str]:
    """Return the addresses of the model and of its labels."""
    labels = next(name for name in files if name.startswith("labels"))
    if to.startswith("models:/"):
        address = _push_version(files, model, _parse_name(to), stores)
        return str(address), f"{address}/{labels}"
    folder = _parse_folder(to, model, stores.s3)
    for name, path in files.items():
        folder.upload(path, name)
    return folder.file(model).address, folder.file(labels).address


def _push_version(files: Mapping[str, Path], model: str, name: str, stores: Stores) -> ModelsUri:
    """Register the files as the next version of a model, by way of a run that they are the artifacts of."""
    run = _start_run(stores.runs, name)
    source = f"{run.artifact_uri.rstrip('/')}/{FOLDER}"
    folder = stores.open_source(source)
    for path, file in files.items():
        folder.upload(file, path)
    _describe(folder.upload, model, run.run_id)
    stores.registry.ensure_model(name)
    version = stores.registry.create_version(name, source, run.run_id)
    stores.runs.end_run(run.run_id, _now_ms())
    return ModelsUri(name, version)


def _start_run(runs: MlflowClient, name: str) -> Run:
    """Return a new run, in an experiment of the model's name."""
    experiment = runs.look_up_experiment(name)
    experiment_id = experiment.id if experiment is not None else runs.create_experiment(name, {})
    return runs.create_run(experiment_id, f"push {name}", _now_ms(), {})


def _describe(upload: _Upload, model: str, run_id: str) -> None:
    """Put MLflow's own description beside the model, so that its clients load it too."""
    description = {
        "artifact_path": FOLDER,
        "flavors": {
            "onnx": {"data": model, "providers": ["CPUExecutionProvider"]},
            "python_function": {"data": model, "loader_module": "mlflow.onnx"},
        },
        "model_uuid": uuid.uuid4().hex,
        "run_id": run_id,
        "utc_time_created": datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S.%f"),
    }
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / DESCRIPTION
        file.write_text(yaml.safe_dump(description))
        upload(file, DESCRIPTION)


def _parse_name(to: str) -> str:
    try:
        address = parse_uri(f"{to}/1")
    except ValueError:
        address = None
    if not isinstance(address, ModelsUri) or address.path:
        raise StartError(Reason.SPEC_INVALID, f"{to} is not models:/name: the registry counts versions itself")
    return address.name


def _parse_folder(to: str, model: str, store: S3Store) -> S3Folder:
    """Return the folder that `s3://bucket/folder` names, or `s3://bucket/folder/model.onnx` for that very file."""
    if _BUCKET.fullmatch(to):
        return S3Folder(store, to.removeprefix("s3://").rstrip("/"), "")
    folder = to.rstrip("/").removesuffix(f"/{model}")
    try:
        address = parse_uri(f"{folder}/file")
    except ValueError:
        address = None
    if not isinstance(address, S3Uri) or folder.endswith(".onnx"):
        raise StartError(Reason.SPEC_INVALID, f"{to} is neither s3://bucket/folder nor models:/name")
    return S3Folder(store, address.bucket, address.key.removesuffix("file").rstrip("/"))


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
