"""POST …/infer of the Open Inference Protocol: from a request's body to its answer, on a worker thread."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray
from starlette.responses import Response

from classifier_inference.http.body import ImageBytes, require_batch
from classifier_inference.http.content_encoding import choose_coding, deflate, inflate
from classifier_inference.http.json_body import parse_json
from classifier_inference.http.open_inference.infer_schemas import IMAGE, SCORES, InferRequest
from classifier_inference.http.open_inference.tensor_codec import (
    Declared,
    TensorError,
    decode_elements,
    decode_values,
    encode_elements,
    split_binary,
    split_body,
)
from classifier_inference.http.problem import Kind, ProblemError
from classifier_inference.http.work import Work
from classifier_inference.model.loaded_classifier import Answer
from classifier_inference.model.onnx_model import Values

HEADER_LENGTH = "Inference-Header-Content-Length"
JSON_OVERHEAD = 64 * 1024
"""Bytes that a body may have beside its images."""
SHORTEST_DEFLATED = 1024
"""Bytes below which an answer is sent as it is."""


@dataclass(frozen=True)
class Wanted:
    """How the scores are wanted."""

    binary: bool
    classes: int | None
    """How many best classes instead of all scores; None for these."""


def bound_body(limit_bytes: int, batch: int) -> int:
    """Return how many bytes a body may have: its images in base64, which takes four bytes for three."""
    return limit_bytes * batch * 4 // 3 + JSON_OVERHEAD


def respond(body: bytes, headers: Mapping[str, str], work: Work) -> Response:
    """Return the answer to a request. Raises ProblemError."""
    limits = work.loaded.spec.limits
    plain = inflate(body, headers.get("content-encoding", ""), limits.bytes + JSON_OVERHEAD)
    try:
        header, binary = split_body(plain, headers.get(HEADER_LENGTH))
        request = _parse_request(header)
        (tensor,) = request.inputs
        declared = Declared(
            name=tensor.name,
            datatype=tensor.datatype,
            shape=tuple(tensor.shape),
            binary_size=tensor.parameters.binary_data_size if tensor.parameters else None,
            data=tensor.data,
        )
        (part,) = split_binary([declared], binary)
        wanted = _choose_outputs(request)
        answers, images = _infer(work, declared, part)
    except TensorError as error:
        raise ProblemError(Kind.INVALID_INPUT, str(error)) from None
    ids = [work.request_id] if len(answers) == 1 else [work.new_request_id() for _ in answers]
    for answer, image, request_id in zip(answers, images, ids, strict=True):
        work.keep(answer, request_id, image)
    return _render(work, request, ids, *_render_scores(work, answers, wanted), headers.get("accept-encoding", ""))


def _parse_request(header: memoryview) -> InferRequest:
    request = parse_json(bytes(header), InferRequest)
    _refuse_shared_memory(request)
    return request


def _refuse_shared_memory(request: InferRequest) -> None:
    parameters = [part.parameters for part in (*request.inputs, *(request.outputs or ()))]
    if any(one is not None and one.shared_memory_region is not None for one in parameters):
        raise ProblemError(Kind.INVALID_INPUT, "shared memory is not taken: send data, or the binary extension's")


def _choose_outputs(request: InferRequest) -> Wanted:
    binary = request.parameters is not None and request.parameters.binary_data_output
    parameters = request.outputs[0].parameters if request.outputs else None
    if parameters is None:
        return Wanted(binary, None)
    return Wanted(binary if parameters.binary_data is None else parameters.binary_data, parameters.classification)


def _infer(
    work: Work, tensor: Declared, binary: memoryview | None
) -> tuple[list[Answer], list[ImageBytes] | list[None]]:
    """Return an answer an image, and the images where they came encoded."""
    loaded = work.loaded
    count = tensor.shape[0]
    require_batch(count, loaded.spec.limits)
    named = (tensor.name, tensor.datatype)
    if named == (loaded.input_name, loaded.input_datatype) and named != (IMAGE, "UINT8"):
        return _infer_tensor(work, tensor, binary), [None] * count
    if tensor.name != IMAGE or tensor.datatype == "FP32":
        own = f"the model's own, {loaded.input_name} of {loaded.input_datatype}"
        raise TensorError(
            f"the input is {tensor.name} of {tensor.datatype}; taken are {IMAGE} of BYTES or UINT8, and {own}"
        )
    if tensor.datatype == "UINT8":
        return _infer_pixels(work, tensor, binary), [None] * count
    if math.prod(tensor.shape) != count:
        raise TensorError(f"{IMAGE} of BYTES has the shape [n], not {list(tensor.shape)}")
    images = [ImageBytes(element) for element in decode_elements(tensor, binary)]
    return [_name_index(index, partial(_classify, work, image)) for index, image in enumerate(images)], images


def _classify(work: Work, image: ImageBytes) -> Answer:
    return work.classify(work.find(image))


def _infer_pixels(work: Work, tensor: Declared, binary: memoryview | None) -> list[Answer]:
    if len(tensor.shape) != 4 or tensor.shape[3] != 3:
        raise TensorError(f"{IMAGE} of UINT8 has the shape [n, height, width, 3], not {list(tensor.shape)}")
    return [
        _name_index(index, partial(work.classify_pixels, pixels))
        for index, pixels in enumerate(decode_values(tensor, binary))
    ]


def _name_index(index: int, classify: Callable[[], Answer]) -> Answer:
    """Return an image's answer. Raises ProblemError that names its index."""
    try:
        return classify()
    except ProblemError as problem:
        raise ProblemError(problem.kind, f"image {index}: {problem.detail}", problem.headers) from problem


def _infer_tensor(work: Work, tensor: Declared, binary: memoryview | None) -> list[Answer]:
    shape = work.loaded.input_shape
    if tensor.shape[1:] != shape:
        raise TensorError(f"{tensor.name} takes the shape {['n', *shape]}, not {list(tensor.shape)}")
    values: Values = decode_values(tensor, binary)
    if not np.isfinite(values).all():
        raise TensorError(f"{tensor.name} holds values that are not finite numbers")
    try:
        return work.loaded.classify_tensor(values)
    except FloatingPointError as error:
        raise TensorError(f"for this {tensor.name} {error}") from None


def _render_scores(work: Work, answers: list[Answer], wanted: Wanted) -> tuple[dict[str, Any], bytes]:
    """Return the output as the JSON has it, and its binary data."""
    data: list[str] | NDArray[np.float32]
    if wanted.classes is None:
        scores = np.stack([answer.scores for answer in answers]).astype("<f4")
        output: dict[str, Any] = {"name": SCORES, "datatype": "FP32", "shape": scores.shape}
        data, binary = scores.ravel(), scores.tobytes()
    else:
        count = min(wanted.classes, len(work.loaded.labels))
        data = [text for answer in answers for text in _name_classes(work, answer, count)]
        output = {"name": SCORES, "datatype": "BYTES", "shape": [len(answers), count]}
        binary = encode_elements(text.encode() for text in data)
    if not wanted.binary:
        return {**output, "data": data}, b""
    return {**output, "parameters": {"binary_data_size": len(binary)}}, binary


def _name_classes(work: Work, answer: Answer, count: int) -> list[str]:
    best = np.argsort(-answer.scores, kind="stable")[:count]
    return [f"{answer.scores[index]:f}:{index}:{work.loaded.labels[index]}" for index in best]


def _render(
    work: Work, request: InferRequest, ids: list[str], output: dict[str, Any], binary: bytes, accept_encoding: str
) -> Response:
    content: dict[str, Any] = {
        "model_name": work.loaded.name,
        "model_version": work.loaded.spec.model.version,
        "parameters": {"request_ids": ",".join(ids)},
        "outputs": [output],
    }
    if request.id is not None:
        content["id"] = request.id
    header = orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY)
    headers = {"Vary": "Accept-Encoding"}
    if "parameters" in output:
        headers[HEADER_LENGTH] = str(len(header))
    body = header + binary
    coding = choose_coding(accept_encoding)
    if coding is not None and len(body) >= SHORTEST_DEFLATED:
        body, headers["Content-Encoding"] = deflate(body, coding), coding
    return Response(body, 200, headers, "application/octet-stream" if "parameters" in output else "application/json")
