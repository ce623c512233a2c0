"""Which files a classifier is made of, what each is called once it is here, and where it is found."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from classifier_inference.files import labels
from classifier_inference.report.start_error import StartError
from classifier_inference.report.termination import Reason
from classifier_inference.spec.classifier import ClassifierSpec
from classifier_inference.spec.uri import Address, FileUri, ImageUri, parse_uri

MODEL_LIMIT_BYTES = 2 * 2**30
"""Protobuf's bound, and so that of an ONNX file."""

EXTERNAL_LIMIT_BYTES = 16 * 2**30
"""The bound of all files together that an ONNX file's graph names."""

MODEL_FILE = "model.onnx"
EXTERNAL = "external"
"""The folder of these files, beside model.onnx."""


@dataclass(frozen=True)
class Source:
    """One file by its address."""

    name: str
    """Its fixed name in the folder that the server reads: model.onnx, labels, selftest-0 and so on."""
    what: str
    """What to call it in a message."""
    address: Address
    limit_bytes: int
    not_found: Reason
    unreachable: Reason


@dataclass(frozen=True)
class Files:
    """Where the files of a classifier lie on this machine."""

    model: Path
    external: Path
    """The folder that the files which the model's graph names are relative to."""
    labels: Path | None
    """None where the labels stand in the object."""
    self_tests: tuple[Path, ...]


def list_sources(spec: ClassifierSpec) -> list[Source]:
    """Return the model, the labels if they have an address, and the self-tests' images in their order."""
    return [make_model_source(parse_uri(spec.model.uri)), *_list_labels(spec), *_list_self_tests(spec)]


def make_model_source(address: Address) -> Source:
    """Return the model at an address."""
    return Source(
        name=MODEL_FILE,
        what="the model",
        address=address,
        limit_bytes=MODEL_LIMIT_BYTES,
        not_found=Reason.MODEL_NOT_FOUND,
        unreachable=Reason.MODEL_UNREACHABLE,
    )


def _list_labels(spec: ClassifierSpec) -> list[Source]:
    if spec.model.labels.uri is None:
        return []
    return [
        Source(
            name="labels",
            what="the labels",
            address=parse_uri(spec.model.labels.uri),
            limit_bytes=labels.LIMIT_BYTES,
            not_found=Reason.LABELS_NOT_FOUND,
            unreachable=Reason.LABELS_UNREACHABLE,
        )
    ]


def _list_self_tests(spec: ClassifierSpec) -> list[Source]:
    return [
        Source(
            name=f"selftest-{number}",
            what=f"the image of selfTest[{number}]",
            address=parse_uri(test.image.uri),
            limit_bytes=spec.limits.bytes,
            not_found=Reason.SELF_TEST_IMAGE_NOT_FOUND,
            unreachable=Reason.SELF_TEST_IMAGE_UNREACHABLE,
        )
        for number, test in enumerate(spec.self_test)
    ]


def find_files(spec: ClassifierSpec, locate: Callable[[Source], Path]) -> Files:
    """Return where every file lies. Raises StartError for the first that isn't there."""
    found = {source.name: _require_file(source, locate(source)) for source in list_sources(spec)}
    model = found[MODEL_FILE]
    on_this_machine = isinstance(parse_uri(spec.model.uri), FileUri)
    return Files(
        model=model,
        external=model.parent if on_this_machine else model.parent / EXTERNAL,
        labels=found.get("labels"),
        self_tests=tuple(found[f"selftest-{number}"] for number in range(len(spec.self_test))),
    )


def in_folder(folder: Path) -> Callable[[Source], Path]:
    """Return a `locate` for a folder that was filled beforehand, whatever the addresses are."""
    return lambda source: folder / source.name


def on_this_machine(images: Path | None, download: Callable[[Source], Path]) -> Callable[[Source], Path]:
    """Return a `locate` for a machine without a cluster, where `download` brings what has to be brought.

    The files of a container image are looked for under `images`, in a folder of the image's reference.
    """

    def locate(source: Source) -> Path:
        match source.address:
            case FileUri(path):
                return path
            case ImageUri(reference, path):
                if images is None:
                    raise StartError(
                        source.not_found,
                        f"{source.what} is in the image {reference}: "
                        "name a folder that holds the files of images by --images",
                    )
                return images / reference / path.lstrip("/")
            case _:
                return download(source)

    return locate


def _require_file(source: Source, path: Path) -> Path:
    if not path.is_file():
        raise StartError(source.not_found, f"{source.what} is not there: there is no file {path}")
    return path
