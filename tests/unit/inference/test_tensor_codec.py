"""Tensors on the wire: what is declared is what is there, or the reason is named."""

import math
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifier_inference.http.open_inference.tensor_codec import (
    Declared,
    TensorError,
    decode_elements,
    decode_values,
    encode_elements,
    split_binary,
    split_body,
)


def declare(datatype: str, shape: tuple[int, ...], data: Any = None, binary_size: int | None = None) -> Declared:
    return Declared("image", datatype, shape, binary_size, data)


@given(st.lists(st.binary(max_size=50), max_size=10))
def test_elements_come_back_as_they_were(elements: list[bytes]) -> None:
    binary = memoryview(encode_elements(elements))
    assert decode_elements(declare("BYTES", (len(elements),)), binary) == elements


@given(st.binary(max_size=60), st.integers(0, 4))
def test_any_bytes_are_elements_or_an_error(content: bytes, count: int) -> None:
    with suppress(TensorError):
        assert len(decode_elements(declare("BYTES", (count,)), memoryview(content))) == count


@pytest.mark.parametrize("data", [["aGk=", "eW91"], [["aGk="], ["eW91"]]])
def test_elements_in_json_are_base64(data: Any) -> None:
    assert decode_elements(declare("BYTES", (2,), data), None) == [b"hi", b"you"]


@pytest.mark.parametrize(
    ("datatype", "data"),
    [("UINT8", [1, 2, 3, 255]), ("UINT8", [[1, 2], [3, 255]]), ("FP32", [[0.5, 1], [-2, 3e38]])],
)
def test_numbers_in_json_may_be_nested_or_flat(datatype: str, data: Any) -> None:
    values = decode_values(declare(datatype, (2, 2), data), None)
    assert values.dtype == {"UINT8": np.uint8, "FP32": np.float32}[datatype]
    assert values.tolist() == np.array(data, values.dtype).reshape(2, 2).tolist()


def test_binary_values_come_in_their_shape_lowest_byte_first() -> None:
    wanted = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert decode_values(declare("FP32", (2, 3)), memoryview(wanted.tobytes())).tolist() == wanted.tolist()


@pytest.mark.parametrize(
    ("tensor", "binary", "message"),
    [
        (declare("UINT8", (2,), [1, 256]), None, "UINT8 can hold"),
        (declare("UINT8", (2,), [1, -1]), None, "UINT8 can hold"),
        (declare("UINT8", (1,), [1.5]), None, "UINT8 can hold"),
        (declare("UINT8", (1,), ["1"]), None, "UINT8 can hold"),
        (declare("UINT8", (1,), [True]), None, "UINT8 can hold"),
        (declare("FP32", (1,), [1e39]), None, "FP32 can hold"),
        (declare("FP32", (1,), [10**40]), None, "FP32 can hold"),
        (declare("FP32", (1,), None), None, "FP32 can hold"),
        (declare("FP32", (3,), [[1, 2], [3]]), None, "differ in length"),
        (declare("FP32", (3,), [1, 2]), None, "has 2 values, and its shape is [3]"),
        (declare("FP32", (1,)), b"12345", "no multiple of 4"),
        (declare("UINT8", (1,)), b"12345", "has 5 values"),
    ],
)
def test_values_that_are_none_are_named(tensor: Declared, binary: bytes | None, message: str) -> None:
    with pytest.raises(TensorError, match=message.replace("[", r"\[")):
        decode_values(tensor, None if binary is None else memoryview(binary))


@pytest.mark.parametrize(
    ("tensor", "binary", "message"),
    [
        (declare("BYTES", (1,), ["a!"]), None, "element 0 is not base64"),
        (declare("BYTES", (2,), ["aGk=", "ä"]), None, "element 1 is not base64"),
        (declare("BYTES", (1,), [7]), None, "element 0 is no string"),
        (declare("BYTES", (2,), ["aGk="]), None, "has 1 elements"),
        (declare("BYTES", (1,)), b"\1\0", "within an element's length"),
        (declare("BYTES", (1,)), b"\5\0\0\0abc", "an element of 5 bytes reaches beyond"),
        (declare("BYTES", (1,)), b"\xff\xff\xff\xffabc", "reaches beyond"),
        (declare("BYTES", (2,)), encode_elements([b"a"]), "has 1 elements"),
    ],
)
def test_elements_that_are_none_are_named(tensor: Declared, binary: bytes | None, message: str) -> None:
    with pytest.raises(TensorError, match=message):
        decode_elements(tensor, None if binary is None else memoryview(binary))


@pytest.mark.parametrize("length", ["-1", "5", "", "x", "٣", "1.0", "9" * 5000])
def test_a_header_length_that_is_none_is_named(length: str) -> None:
    with pytest.raises(TensorError, match="Inference-Header-Content-Length"):
        split_body(b"{}ab", length)


def test_binary_data_belongs_to_the_tensors_in_their_order() -> None:
    header, binary = split_body(b"{}abcde", "2")
    tensors = [
        declare("UINT8", (2,), binary_size=2),
        declare("UINT8", (1,), [1]),
        declare("UINT8", (3,), binary_size=3),
    ]
    assert bytes(header) == b"{}"
    assert list(split_binary(tensors, binary)) == [b"ab", None, b"cde"]
    with pytest.raises(TensorError, match="is 2 in all, and 5 bytes follow"):
        list(split_binary(tensors[:1], binary))
    assert bytes(split_body(b"{}", None)[1]) == b""


@given(st.lists(st.integers(0, 3), min_size=1, max_size=4), st.binary(max_size=300))
def test_any_bytes_are_values_or_an_error(shape: list[int], content: bytes) -> None:
    with suppress(TensorError):
        assert decode_values(declare("FP32", tuple(shape)), memoryview(content)).size == math.prod(shape)
