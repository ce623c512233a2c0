"""A model of several labels at once, by every route and in the log: every label over the threshold, or none."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from huggingface_hub import InferenceClient
from PIL import Image
from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput

from classifier_inference.cli.classify import render_table
from classifier_inference.log.spool.windows import list_open, read_records
from tests.integration.server.process import WAIT_SECONDS, Server, free_port
from tests.tiny_model import encode, write_document
from tests.varied_models import build_varied

ORANGE = encode(Image.new("RGB", (16, 16), (255, 51, 0)))
BLACK = encode(Image.new("RGB", (16, 16)))
EACH = 1 / (1 + np.exp(-np.array([10.0, 2.0, 0.0])))
PREDICT = "/api/v1/predict"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("labels")


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    labels = {"inline": ["red", "green", "blue"]}
    model = {"uri": f"file:{folder / 'model.onnx'}", "labels": labels, "scores": "sigmoid", "threshold": 0.6}
    tracking = {"mode": "External", "uri": f"http://127.0.0.1:{free_port()}"}
    document = write_document(folder, build_varied(), model=model, topK=1, tracking=tracking)
    arguments = (f"--files={folder}", f"--spool={folder / 'spool'}")
    server = Server(document, *arguments, POD_NAME="one").wait_until_ready()
    yield server
    server.kill()


def test_our_own_route_answers_those_over_the_threshold(server: Server) -> None:
    with server.client() as client:
        found = client.post(PREDICT, content=ORANGE).json()
        nothing = client.post(PREDICT, content=BLACK).json()
        metrics = client.get("/metrics").text
    assert [(one["label"], one["class_id"]) for one in found["predictions"]] == [("red", 0), ("green", 1)]
    assert [one["confidence"] for one in found["predictions"]] == pytest.approx(EACH[:2].tolist(), abs=1e-5)
    assert nothing["predictions"] == []
    assert 'classifier_predictions_total{label="none"} 1.0' in metrics
    assert 'classifier_predictions_total{label="red"} 1.0' in metrics
    assert server.wait_for_request(request_id=found["request_id"])["label"] == "red"
    assert server.wait_for_request(request_id=nothing["request_id"])["label"] is None
    assert render_table("black", nothing).row_count == 0


def test_several_images_may_have_none_of_them(server: Server) -> None:
    with server.client() as client:
        files = [("file", ORANGE), ("file", BLACK)]
        results = client.post(PREDICT, files=files).json()["results"]
    assert [len(one["predictions"]) for one in results] == [2, 0]


def test_the_open_inference_protocol_gives_every_score(server: Server) -> None:
    image = InferInput("image", [2], "BYTES").set_data_from_numpy(np.array([ORANGE, BLACK], np.object_))
    with InferenceServerClient(f"127.0.0.1:{server.port}", network_timeout=WAIT_SECONDS) as client:
        scores = client.infer("colours", [image]).as_numpy("scores")
        best = client.infer("colours", [image], outputs=[InferRequestedOutput("scores", class_count=1)])
    np.testing.assert_allclose(scores, [EACH, [0.5] * 3], atol=1e-5)
    assert best.as_numpy("scores").tolist() == [[b"0.999955:0:red"], [b"0.500000:0:red"]]


def test_hugging_faces_client_gets_those_over_the_threshold_or_as_many_as_it_asks_for(server: Server) -> None:
    hub = InferenceClient(base_url=server.url, timeout=WAIT_SECONDS)
    assert [one.label for one in hub.image_classification(ORANGE)] == ["red", "green"]
    assert hub.image_classification(BLACK) == []
    assert [one.label for one in hub.image_classification(BLACK, top_k=2)] == ["red", "green"]
    asked = hub.image_classification(ORANGE, top_k=3, function_to_apply="sigmoid")
    assert [one.score for one in asked] == pytest.approx(EACH.tolist(), abs=1e-5)


def test_an_answer_without_a_label_is_logged_like_any_other(server: Server, folder: Path) -> None:
    with server.client() as client:
        answer = client.post(PREDICT, content=BLACK).json()
    records = [record for path in list_open(folder / "spool/one") for record in read_records(path)]
    (record,) = (record for record in records if record.request_id == answer["request_id"])
    assert record.predictions == []
