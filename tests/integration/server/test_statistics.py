"""What Triton's clients ask of a model beside its answers: configuration and statistics."""

from pathlib import Path
from typing import Any

import httpx2
import pytest
from tritonclient.http import InferenceServerClient
from tritonclient.utils import InferenceServerException

from classifier_inference.http.open_inference import infer_schemas as schemas
from classifier_inference.http.open_inference.statistics import number_version
from tests.integration.server.conftest import Start
from tests.integration.server.process import WAIT_SECONDS, Server
from tests.integration.server.test_open_inference import INFER, MODEL, image_input
from tests.tiny_model import COLOURS, make_image

SENT = 3


def read_statistics(client: httpx2.Client) -> dict[str, Any]:
    (model,) = client.get(f"/v2/models/{MODEL}/stats").json()["model_stats"]
    schemas.ModelStatistics.model_validate(model)
    return dict(model)


def test_statistics_count_what_was_answered(server: Server, client: httpx2.Client) -> None:
    before = read_statistics(client)
    with InferenceServerClient(f"127.0.0.1:{server.port}", network_timeout=WAIT_SECONDS) as triton:
        triton.infer(MODEL, [image_input(make_image(), make_image())])
        with pytest.raises(InferenceServerException):
            triton.infer(MODEL, [image_input(b"hello")])
    after = read_statistics(client)
    assert after["inference_count"] == before["inference_count"] + 2
    assert after["last_inference"] > before["last_inference"]
    for outcome in ("success", "fail"):
        assert after["inference_stats"][outcome]["count"] == before["inference_stats"][outcome]["count"] + 1


def test_config_and_stats_hold_what_perf_analyzer_reads(start: Start, tmp_path: Path) -> None:
    model = {"uri": f"file:{tmp_path / 'model.onnx'}", "labels": {"inline": COLOURS}, "version": "2.1.0"}
    with start(model=model).wait_until_ready().client() as client:
        assert {"model_configuration", "statistics"} <= set(client.get("/v2").json()["extensions"])
        config, metadata = (client.get(f"/v2/models/{MODEL}{path}").json() for path in ("/config", ""))
        before = read_statistics(client)
        for _ in range(SENT):
            assert client.post(INFER, **as_perf_analyzer(make_image())).status_code == 200
        after = read_statistics(client)
    assert (config["name"], config["platform"], config["max_batch_size"]) == (MODEL, "onnxruntime_onnx", 16)
    for ours, theirs, wanted in (
        ("input", "inputs", ("image", "TYPE_STRING", [1])),
        ("output", "outputs", ("scores", "TYPE_FP32", [3])),
    ):
        assert [(one["name"], one["data_type"], one["dims"]) for one in config[ours]] == [wanted]
        # It takes the tensors from here, without the batch's side, and looks each of the configuration's up.
        assert [(one["name"], one["shape"][0]) for one in metadata[theirs]] == [(wanted[0], -1)]
    # It reads the number in the version, and looks for the statistics of that.
    assert (after["name"], after["version"]) == (MODEL, "2")
    for count in ("inference_count", "execution_count"):
        assert after[count] == before[count] + SENT
    for stage in ("success", "queue", "compute_input", "compute_infer", "compute_output"):
        then, now = before["inference_stats"][stage], after["inference_stats"][stage]
        assert (stage, now["count"]) == (stage, then["count"] + SENT)
        assert now["ns"] > then["ns"], stage
    for stage in ("cache_hit", "cache_miss"):
        assert after["inference_stats"][stage] == {"count": 0, "ns": 0}


def as_perf_analyzer(content: bytes) -> dict[str, Any]:
    """Return a request as perf_analyzer sends it for an input of BYTES [-1]: the batch's side alone."""
    body, length = InferenceServerClient.generate_request_body([image_input(content)])
    return {"content": body, "headers": {"Inference-Header-Content-Length": str(length)}}


@pytest.mark.parametrize(
    ("version", "number"), [("1", "1"), ("1.0.0", "1"), ("0042-rc", "42"), ("v3", "1"), ("9" * 30, "9" * 18)]
)
def test_statistics_have_the_number_that_a_version_begins_with(version: str, number: str) -> None:
    assert number_version(version) == number
