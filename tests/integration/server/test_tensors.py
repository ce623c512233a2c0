"""Images that a client has decoded, or prepared as the model takes them, have the scores of the encoded image."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import TensorProto
from tritonclient.http import InferenceServerClient, InferInput
from tritonclient.utils import InferenceServerException

from tests.integration.server.conftest import Start
from tests.integration.server.process import WAIT_SECONDS, Server
from tests.integration.server.test_open_inference import MODEL, image_input
from tests.tiny_model import SIDE, encode, make_noise
from tests.varied_models import build_varied


def infer(server: Server, *tensors: InferInput) -> list[NDArray[Any]]:
    """Return the scores of each of the tensors, sent alone."""
    with InferenceServerClient(f"127.0.0.1:{server.port}", network_timeout=WAIT_SECONDS) as client:
        found = [client.infer(MODEL, [tensor]).as_numpy("scores") for tensor in tensors]
    return [scores for scores in found if scores is not None]


def as_input(name: str, values: NDArray[Any], binary: bool) -> InferInput:
    datatype = {"uint8": "UINT8", "float32": "FP32"}[values.dtype.name]
    return InferInput(name, list(values.shape), datatype).set_data_from_numpy(values, binary_data=binary)


@pytest.mark.parametrize("channels", ["RGB", "BGR", "L"])
def test_pixels_give_the_scores_of_the_encoded_image(start: Start, tmp_path: Path, channels: str) -> None:
    resize = {"resize": {"shorterSide": SIDE}, "crop": SIDE, "interpolation": "bicubic"}
    changes: dict[str, Any] = {"preprocess": {**resize, "channels": channels}}
    if channels == "L":
        labels = {"inline": ["bright"]}
        changes["model"] = {"uri": f"file:{tmp_path / 'model.onnx'}", "labels": labels, "scores": "sigmoid"}
        changes["model_file"] = build_varied(shape=("n", 1, SIDE, SIDE))
    noise = make_noise((37, 23))
    pixels = [as_input("image", np.asarray(noise)[np.newaxis], binary) for binary in (True, False)]
    encoded, *decoded = infer(start(**changes).wait_until_ready(), image_input(encode(noise)), *pixels)
    assert np.ptp(encoded) > 0 or channels == "L"
    np.testing.assert_array_equal(decoded, [encoded, encoded])


def test_a_model_that_takes_uint8_is_given_its_own_input(start: Start) -> None:
    preprocess = {"resize": {"exact": [SIDE, SIDE]}, "interpolation": "nearest"}
    server = start(model_file=build_varied(dtype=TensorProto.UINT8), preprocess=preprocess).wait_until_ready()
    noise = make_noise((SIDE, SIDE))
    own = np.asarray(noise).transpose(2, 0, 1)[np.newaxis]
    encoded, *given = infer(
        server, image_input(encode(noise)), *(as_input("pixels", own, one) for one in (True, False))
    )
    np.testing.assert_array_equal(given, [encoded, encoded])
    with pytest.raises(InferenceServerException, match="the model's own, pixels of UINT8"):
        infer(server, as_input("pixels", own.astype(np.float32), True))
