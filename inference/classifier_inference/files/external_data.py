"""Which files beside an ONNX file its graph keeps tensors in. No I/O.

A walk over the protobuf wire format that knows the handful of fields that lead to a tensor, and skips the rest: the
`onnx` package (and protobuf with it) is not worth its size in a server's image.
https://protobuf.dev/programming-guides/encoding/ and onnx.proto3.
"""

import mmap
from collections.abc import Iterator

from classifier_inference.spec.uri import is_inside

MAIN_GRAPH_FIELD = 7
_MODEL, _GRAPH, _NODE, _ATTRIBUTE, _TENSOR, _SPARSE, _FUNCTION = range(7)
_CHILDREN: dict[int, dict[int, int]] = {
    _MODEL: {MAIN_GRAPH_FIELD: _GRAPH, 25: _FUNCTION},
    _GRAPH: {1: _NODE, 5: _TENSOR, 15: _SPARSE},
    _NODE: {5: _ATTRIBUTE},
    _ATTRIBUTE: {5: _TENSOR, 6: _GRAPH, 10: _TENSOR, 11: _GRAPH, 22: _SPARSE, 23: _SPARSE},
    _SPARSE: {1: _TENSOR, 2: _TENSOR},
    _FUNCTION: {7: _NODE, 11: _ATTRIBUTE},
}
"""By kind of message: the fields that are messages with tensors in them, and of which kind."""
_INITIALIZER = (_MODEL, _GRAPH, _TENSOR)
_EXTERNAL_DATA, _DATA_LOCATION, _EXTERNAL = 13, 14, 1


class ExternalDataError(ValueError):
    """The graph keeps tensors where they can't be taken from; the message says where."""


def list_external_data(content: bytes | mmap.mmap) -> list[str]:
    """Return the files that the graph's initializers lie in, relative to the ONNX file's folder, sorted, each once.

    Raises ExternalDataError for a name that leads out of that folder, and for tensors that are not initializers of the
    main graph: ONNX Runtime would look for their files itself, beside whatever the process runs in. What isn't ONNX
    names no files: ONNX Runtime says best what is wrong with it.
    """
    try:
        found = set(_walk(memoryview(content), (_MODEL,)))
    except (IndexError, RecursionError):
        return []
    for path, name in found:
        if path != _INITIALIZER:
            raise ExternalDataError(f"the model keeps a tensor that is no initializer of its main graph in {name!r}")
        if not is_inside(name) or "*" in name:  # ONNX Runtime takes a certain name with stars for a memory address
            raise ExternalDataError(f"the model keeps tensors in {name!r}, which is not inside its folder")
    return sorted(name for _, name in found)


def _walk(message: memoryview, path: tuple[int, ...]) -> Iterator[tuple[tuple[int, ...], str]]:
    """Yield the file of every external tensor, with the kinds of message that lead to it."""
    if path[-1] == _TENSOR:
        yield from ((path, name) for name in _read_locations(message))
        return
    children = _CHILDREN[path[-1]]
    for field, value in _read_fields(message):
        if field in children and isinstance(value, memoryview):
            yield from _walk(value, (*path, children[field]))


def _read_locations(tensor: memoryview) -> list[str]:
    """Return the file that a TensorProto's data lies in, or none where it lies in the tensor.

    A tensor that names several is malformed; all of them are returned, so that none escapes.
    """
    names, external = [], False
    for field, value in _read_fields(tensor):
        if field == _DATA_LOCATION:
            external = value == _EXTERNAL
        elif field == _EXTERNAL_DATA and isinstance(value, memoryview):
            entry = {key: bytes(text) for key, text in _read_fields(value) if isinstance(text, memoryview)}
            if entry.get(1) == b"location":
                names.append(entry.get(2, b"").decode(errors="backslashreplace"))
    return names if external else []


def _read_fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Yield a message's fields: numbers as they are, what has a length as its bytes. Raises IndexError if cut off."""
    position = 0
    while position < len(message):
        key, position = _read_varint(message, position)
        match key & 7:
            case 0:
                number, position = _read_varint(message, position)
                yield key >> 3, number
            case 1:
                position += 8
            case 2:
                length, position = _read_varint(message, position)
                if position + length > len(message):
                    raise IndexError("cut off")
                yield key >> 3, message[position : position + length]
                position += length
            case 3:
                raise ExternalDataError("the model holds a protobuf group, and ONNX has none")
            case 5:
                position += 4
            case _:
                raise IndexError("not a wire type of protobuf 3")


def _read_varint(message: memoryview, position: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = message[position]
        position += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, position
        shift += 7
        if shift > 63:
            raise IndexError("too long for a varint")
