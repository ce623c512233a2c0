"""Tensors as the Open Inference Protocol has them on the wire: in JSON, or after it by the binary extension. No I/O.

https://github.com/kserve/open-inference-protocol, and its binary tensor data extension as Triton documents it.
"""

import base64
import binascii
import math
import re
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_LENGTH = struct.Struct("<I")
_LENGTH_TEXT = re.compile(r"[0-9]{1,18}")
_DTYPES: dict[str, np.dtype[Any]] = {"UINT8": np.dtype("u1"), "FP32": np.dtype("<f4")}
_KINDS = {"UINT8": "iu", "FP32": "iuf"}


class TensorError(Exception):
    """The bytes or values are not the tensor that they are said to be; the message says why."""


@dataclass(frozen=True)
class Declared:
    """A tensor as the JSON declares it."""

    name: str
    datatype: str
    """BYTES, UINT8 or FP32."""
    shape: tuple[int, ...]
    binary_size: int | None
    """Its bytes after the JSON, or None where `data` holds its values."""
    data: Any


def split_body(body: bytes, header_length: str | None) -> tuple[memoryview, memoryview]:
    """Return the JSON and the binary data; `header_length` is the header Inference-Header-Content-Length."""
    view = memoryview(body)
    if header_length is None:
        return view, view[len(view) :]
    if not _LENGTH_TEXT.fullmatch(header_length) or int(header_length) > len(body):
        raise TensorError(f"Inference-Header-Content-Length is no number up to the body's {len(body)} bytes")
    return view[: int(header_length)], view[int(header_length) :]


def split_binary(tensors: Sequence[Declared], binary: memoryview) -> Iterator[memoryview | None]:
    """Yield each tensor's part of the binary data, in their order; None for one with its values in the JSON."""
    wanted = sum(tensor.binary_size or 0 for tensor in tensors)
    if wanted != len(binary):
        raise TensorError(f"binary_data_size is {wanted} in all, and {len(binary)} bytes follow the JSON")
    start = 0
    for tensor in tensors:
        if tensor.binary_size is None:
            yield None
        else:
            yield binary[start : start + tensor.binary_size]
            start += tensor.binary_size


def decode_elements(tensor: Declared, binary: memoryview | None) -> list[bytes]:
    """Return the elements of a BYTES tensor: base64 in JSON, each behind its length of 4 bytes in binary."""
    if binary is None:
        elements = [_decode_base64(tensor, place, text) for place, text in enumerate(_flatten(tensor.data))]
    else:
        elements = [bytes(element) for element in _split_elements(tensor, binary)]
    if len(elements) != math.prod(tensor.shape):
        raise TensorError(f"{tensor.name} has {len(elements)} elements, and its shape is {list(tensor.shape)}")
    return elements


def encode_elements(elements: Iterable[bytes]) -> bytes:
    """Return the elements as binary data: each behind its length, 4 bytes, the lowest first."""
    return b"".join(_LENGTH.pack(len(element)) + element for element in elements)


def decode_values(tensor: Declared, binary: memoryview | None) -> NDArray[Any]:
    """Return the values of a UINT8 or FP32 tensor in its shape."""
    dtype = _DTYPES[tensor.datatype]
    values = _decode_numbers(tensor) if binary is None else _decode_binary(tensor, binary, dtype)
    if values.size != math.prod(tensor.shape):
        raise TensorError(f"{tensor.name} has {values.size} values, and its shape is {list(tensor.shape)}")
    return values.reshape(tensor.shape).astype(dtype, copy=False)


def _decode_binary(tensor: Declared, binary: memoryview, dtype: np.dtype[Any]) -> NDArray[Any]:
    if len(binary) % dtype.itemsize:
        raise TensorError(f"{tensor.name} has {len(binary)} bytes, no multiple of {dtype.itemsize}")
    return np.frombuffer(binary, dtype)


def _decode_numbers(tensor: Declared) -> NDArray[Any]:
    try:
        values = np.asarray(tensor.data)
    except ValueError:
        raise TensorError(f"{tensor.name}: the lists in data differ in length") from None
    if values.dtype.kind not in _KINDS[tensor.datatype]:
        raise TensorError(f"{tensor.name}: data must be numbers that {tensor.datatype} can hold")
    limits = np.iinfo(np.uint8) if tensor.datatype == "UINT8" else np.finfo(np.float32)
    if values.size and not (limits.min <= values.min() and values.max() <= limits.max):
        raise TensorError(f"{tensor.name}: data must be numbers that {tensor.datatype} can hold")
    return values


def _flatten(data: Any) -> Iterator[Any]:
    """Yield a BYTES tensor's elements: `data` is a list of them, or of lists of them."""
    for item in data if isinstance(data, list) else [data]:
        if isinstance(item, list):
            yield from item
        else:
            yield item


def _decode_base64(tensor: Declared, place: int, text: Any) -> bytes:
    if not isinstance(text, str):
        raise TensorError(f"{tensor.name}: element {place} is no string: in JSON they are base64")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise TensorError(f"{tensor.name}: element {place} is not base64: {error}") from None


def _split_elements(tensor: Declared, binary: memoryview) -> Iterator[memoryview]:
    start = 0
    while start < len(binary):
        if start + _LENGTH.size > len(binary):
            raise TensorError(f"{tensor.name}: its binary data ends within an element's length")
        (size,) = _LENGTH.unpack_from(binary, start)
        start += _LENGTH.size
        if start + size > len(binary):
            raise TensorError(f"{tensor.name}: an element of {size} bytes reaches beyond the binary data")
        yield binary[start : start + size]
        start += size
