"""Whatever clients send, /metrics has the same few series."""

import random
import re
import string

import httpx2

from classifier_inference.http.problem import Kind
from classifier_inference.telemetry.metrics import NONE, OTHER, STAGES
from tests.integration.server.conftest import Start
from tests.mutant_load import FORMATS
from tests.mutants import make_corpus
from tests.tiny_model import COLOURS, make_image

ALLOWED = {
    "reason": {kind.slug for kind in Kind},
    "outcome": {"answered", "refused", "failed", "abandoned"},
    "stage": set(STAGES),
    "format": {*FORMATS, "pixels", "tensor"},
    "label": {*COLOURS, OTHER, NONE},
}
"""The labels whose values come with requests, and all values that they may have."""

OWN = re.compile(r"^(classifier_\w+)(?:\{(.*)\})? ", re.MULTILINE)


def read_series(client: httpx2.Client) -> set[tuple[str, str]]:
    found = OWN.findall(client.get("/metrics").text)
    return {(name, labels) for name, labels in found}


def send_junk(client: httpx2.Client, dice: random.Random, corpus: list[bytes]) -> None:
    word = "".join(dice.choices(string.ascii_letters, k=12))
    headers = {"User-Agent": word, "X-Request-Id": word, "Content-Type": f"image/{word}", word: word}
    for method, path in (
        (word.upper(), "/api/v1/predict"), ("GET", f"/{word}"), ("POST", f"/v2/models/{word}/infer"),
        ("GET", f"/v2/models/colours/versions/{word}"), ("PUT", f"/{word}?{word}={word}"),
    ):  # fmt: skip
        client.request(method, path, headers=headers)
    for content in (word.encode(), b"{" + word.encode(), dice.choice(corpus)[: dice.randrange(10, 900)]):
        client.post("/api/v1/predict", content=content, headers=headers)
    client.post("/api/v1/predict", json={"image_path": f"{word}.{word}"}, headers=headers)
    client.post("/api/v1/predict", json={"image_path": f"https://{word}.test/{word}"}, headers=headers)
    client.post("/v2/models/colours/infer", json={"inputs": [{"name": word, "datatype": word, "shape": [1]}]})
    client.post("/v2/models/colours/infer", content=b"{}", headers={"Content-Encoding": word})
    client.post("/", json={"inputs": word, "parameters": {"function_to_apply": word}})


def test_junk_makes_no_series(start: Start) -> None:
    server = start(limits={"formats": FORMATS}).wait_until_ready()
    dice, corpus = random.Random(1), list(make_corpus().values())
    with server.client() as client:
        for content in (*corpus, make_image("red"), make_image("green"), make_image("blue")):
            client.post("/api/v1/predict", content=content)
        for _ in range(10):
            send_junk(client, dice, corpus)
        settled = read_series(client)
        for _ in range(40):
            send_junk(client, dice, corpus)
        after = read_series(client)
    for name, labels in after:
        for label, value in re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', labels):
            assert label not in ALLOWED or value in ALLOWED[label], (name, label, value)
    bounded = {(name, labels) for name, labels in after - settled if "reason=" not in labels}
    assert bounded == set()
    assert len(after) < 250
