"""Models whose tensors lie in files beside them: which files these are, their digest, and how they are loaded."""

import hashlib
import json
import subprocess
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from onnx.external_data_helper import set_external_data

from classifier_inference.files.digest import combine_digests, digest_model
from classifier_inference.files.document import parse_document
from classifier_inference.files.external_data import ExternalDataError, list_external_data
from classifier_inference.files.sources import find_files, on_this_machine
from classifier_inference.images.sniff import sniff
from classifier_inference.model.loaded_classifier import LoadedClassifier, load_classifier
from classifier_inference.report.start_error import StartError
from classifier_inference.report.termination import Reason
from tests.tiny_model import build_document, build_external_model, build_model, make_image


def external_tensor(location: str, name: str = "t") -> TensorProto:
    tensor = numpy_helper.from_array(np.ones(4, np.float32), name)
    set_external_data(tensor, location)
    tensor.ClearField("raw_data")
    return tensor


def model_with(graph: onnx.GraphProto) -> bytes:
    return bytes(helper.make_model(graph).SerializeToString())


def graph_of(*nodes: onnx.NodeProto, tensors: list[TensorProto] | None = None) -> onnx.GraphProto:
    return helper.make_graph(list(nodes), "g", [], [], tensors or [])


def test_a_model_in_one_file_names_no_others() -> None:
    assert list_external_data(build_model()) == []


def test_files_of_initializers_are_listed_once_and_sorted() -> None:
    tensors = [external_tensor(name) for name in ("b.bin", "a/deep.bin", "b.bin", "ünï code.bin")]
    assert list_external_data(model_with(graph_of(tensors=tensors))) == ["a/deep.bin", "b.bin", "ünï code.bin"]


@pytest.mark.parametrize(
    "location",
    ["../weights.bin", "/etc/passwd", "a/../../b", "./a", "a//b", "", "a\\..\\b", "..", "a\nb", "*/_ORT_MEM_ADDR_/*"],
)
def test_a_file_that_is_not_inside_the_folder_is_refused(location: str) -> None:
    with pytest.raises(ExternalDataError, match="is not inside its folder"):
        list_external_data(model_with(graph_of(tensors=[external_tensor(location)])))


def test_tensors_that_onnx_runtime_would_read_by_itself_are_refused() -> None:
    constant = helper.make_node("Constant", [], ["c"], value=external_tensor("c.bin"))
    inner = graph_of(tensors=[external_tensor("inner.bin")])
    branch = helper.make_node("If", ["c"], ["d"], then_branch=inner, else_branch=inner)
    for graph in (graph_of(constant), graph_of(branch)):
        with pytest.raises(ExternalDataError, match="no initializer of its main graph"):
            list_external_data(model_with(graph))


def test_a_tensor_that_lies_in_the_file_after_all_names_no_file() -> None:
    tensor = external_tensor("a.bin")
    tensor.data_location = TensorProto.DEFAULT
    assert list_external_data(model_with(graph_of(tensors=[tensor]))) == []


@given(st.binary(max_size=200) | st.integers(0, len(build_model())).map(lambda end: build_model()[:end]))
def test_what_is_no_model_is_left_to_onnx_runtime_to_judge(content: bytes) -> None:
    try:
        names = list_external_data(content)
    except ExternalDataError:
        return
    assert all(isinstance(name, str) for name in names)


def test_graphs_nested_too_deep_end_the_walk() -> None:
    graph = graph_of(tensors=[external_tensor("a.bin")]).SerializeToString()
    for _ in range(2000):
        attribute = b"\x32" + varint(len(graph)) + graph
        node = b"\x2a" + varint(len(attribute)) + attribute
        graph = b"\x0a" + varint(len(node)) + node
    assert list_external_data(b"\x3a" + varint(len(graph)) + graph) == []


def varint(number: int) -> bytes:
    parts = []
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*parts, number])


def write(folder: Path, location: str = "weights.bin") -> tuple[bytes, bytes]:
    content, weights = build_external_model(location)
    (folder / "model.onnx").write_bytes(content)
    (folder / location).parent.mkdir(parents=True, exist_ok=True)
    (folder / location).write_bytes(weights)
    return content, weights


def load(folder: Path) -> LoadedClassifier:
    classifier = parse_document(json.dumps(build_document(folder)))
    return load_classifier(classifier, find_files(classifier.spec, on_this_machine(None, lambda source: folder)), 1)


@pytest.mark.parametrize("location", ["weights.bin", "deep/er/weights.bin"])
def test_a_model_with_files_beside_it_is_loaded_and_its_digest_is_of_all_of_them(tmp_path: Path, location: str) -> None:
    content, weights = write(tmp_path, location)
    loaded = load(tmp_path)
    assert loaded.classify(sniff(make_image("red"))).predictions[0].label == "red"
    assert loaded.sha256 == digest_model(tmp_path / "model.onnx", tmp_path)
    lines = sorted([f"{sha256(content)} model.onnx\n", f"{sha256(weights)} {location}\n"])
    assert loaded.sha256 == sha256("".join(lines).encode())


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_the_digest_is_what_the_shell_makes_of_it(tmp_path: Path) -> None:
    write(tmp_path)
    command = "sha256sum model.onnx weights.bin | sed 's/  / /' | LC_ALL=C sort | sha256sum"
    made = subprocess.run(command, shell=True, cwd=tmp_path, check=True, capture_output=True, text=True)  # noqa: S602
    assert made.stdout.split()[0] == digest_model(tmp_path / "model.onnx", tmp_path)


def test_a_model_in_one_file_has_that_files_digest(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(build_model())
    assert digest_model(tmp_path / "m.onnx", tmp_path) == sha256(build_model())


def test_every_file_changes_the_digest_and_a_name_alone_does_too() -> None:
    digests = {
        combine_digests("a" * 64, {"w": "b" * 64}),
        combine_digests("a" * 64, {"w": "c" * 64}),
        combine_digests("a" * 64, {"v": "b" * 64}),
        combine_digests("d" * 64, {"w": "b" * 64}),
        combine_digests("a" * 64, {"model.onnx": "b" * 64}),
        combine_digests("a" * 64, {"model.onnx": "c" * 64}),
        combine_digests("a" * 64, {}),
    }
    assert len(digests) == 7


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "weights.bin").unlink()
    with pytest.raises(StartError, match=r"keeps tensors in weights\.bin, and there is no file") as caught:
        load(tmp_path)
    assert caught.value.failure.reason is Reason.MODEL_NOT_FOUND


def test_a_file_that_is_too_short_is_no_model(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "weights.bin").write_bytes(b"")
    with pytest.raises(StartError, match="doesn't load") as caught:
        load(tmp_path)
    assert caught.value.failure.reason is Reason.MODEL_INVALID


def test_nothing_is_read_from_where_the_process_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, elsewhere = tmp_path / "model", tmp_path / "elsewhere"
    for folder in (model, elsewhere):
        folder.mkdir()
    write(model)
    (elsewhere / "weights.bin").write_bytes(np.float32(-10).tobytes())
    monkeypatch.chdir(elsewhere)
    assert load(model).classify(sniff(make_image("red"))).predictions[0].label == "red"
    (model / "weights.bin").unlink()
    with pytest.raises(StartError, match="there is no file"):
        load(model)
