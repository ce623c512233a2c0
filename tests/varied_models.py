"""Small graphs of the kinds that exporters write: each to the mean of every channel, times a factor."""

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.tiny_model import SIDE

FLOAT = TensorProto.FLOAT


def build_varied(
    *,
    shape: tuple[int | str, ...] = ("batch", 3, SIDE, SIDE),
    axes: tuple[int, ...] = (2, 3),
    dtype: int = FLOAT,
    after: tuple[tuple[str, dict[str, Any]], ...] = (),
    unused: bool = False,
    used: bool = False,
    trailing: int = 0,
    quantised: bool = False,
    factor: float = 10,
) -> bytes:
    """An ONNX model from `pixels` to `scores`.

    `after` are operators that the scores go through. `unused` adds an input and an output of its own, `tokens` and
    `embedding`; `used` an input `bias` that the scores depend on. The scores get `trailing` sides of length 1. With
    `quantised` the means go through QuantizeLinear and DequantizeLinear. Integers are divided by 255.
    """
    is_whole = dtype == TensorProto.UINT8
    within = FLOAT if is_whole else dtype
    number = helper.tensor_dtype_to_np_dtype(within).type
    nodes = [
        helper.make_node("Cast", ["pixels"], ["cast"], to=within),
        helper.make_node("Mul", ["cast", "unit"], ["values"]),
        helper.make_node("ReduceMean", ["values", "axes"], ["means"], keepdims=0),
    ]
    constants = {"axes": np.array(axes), "unit": number(1 / 255 if is_whole else 1), "factor": number(factor)}
    last = "means"

    def add(kind: str, *more: str, **attributes: Any) -> None:
        nonlocal last
        made = f"{kind}{len(nodes)}"
        nodes.append(helper.make_node(kind, [last, *more], [made], **attributes))
        last = made

    if quantised:
        constants |= {"step": np.float32(1 / 127), "zero": np.int8(0)}
        add("QuantizeLinear", "step", "zero")
        add("DequantizeLinear", "step", "zero")
    add("Mul", "factor")
    if used:
        add("Add", "bias")
    for kind, attributes in after:
        add(kind, **attributes)
    for _ in range(trailing):
        constants["last axis"] = np.array([-1])
        add("Unsqueeze", "last axis")
    add("Identity")
    nodes[-1].output[0] = "scores"
    inputs = [helper.make_tensor_value_info("pixels", dtype, shape)]
    sides = [f"side {place}" for place in range(4 - len(axes) + trailing)]
    outputs = [helper.make_tensor_value_info("scores", within, sides)]
    if used:
        inputs.append(helper.make_tensor_value_info("bias", within, [1]))
    if unused:
        inputs.insert(0, helper.make_tensor_value_info("tokens", TensorProto.INT64, ["batch", 4]))
        outputs.insert(0, helper.make_tensor_value_info("embedding", FLOAT, ["batch", 4]))
        nodes.append(helper.make_node("Cast", ["tokens"], ["embedding"], to=FLOAT))
    initializers = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "varied", inputs, outputs, initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(model)
    content: bytes = model.SerializeToString()
    return content
