"""LitServe with the plain pipeline, a worker a core: model file, preprocessing as JSON, port."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import litserve
from fastapi import Request

from tests.benchmarks.serving.plain import Plain, Preprocess


class Classify(litserve.LitAPI):  # type: ignore[misc]
    """Takes a form with the image in the field `request`, as LitServe's documentation shows."""

    def __init__(self, model: Path, preprocess: Preprocess) -> None:
        super().__init__()
        self._asked = model, preprocess

    def setup(self, device: str) -> None:
        self._plain = Plain(*self._asked, threads=1)

    def decode_request(self, request: Request) -> bytes:
        form: Any = request  # a form's fields, whatever the annotation says that LitServe wants
        content: bytes = form["request"].file.read()
        return content

    def predict(self, content: bytes) -> list[dict[str, Any]]:
        return self._plain.classify(content)

    def encode_response(self, predictions: list[dict[str, Any]]) -> dict[str, Any]:
        return {"predictions": predictions}


if __name__ == "__main__":
    model, preprocess, port = sys.argv[1:]
    api = Classify(Path(model), Preprocess(**json.loads(preprocess)))
    cores = len(os.sched_getaffinity(0))
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=cores)
    server.run(host="127.0.0.1", port=int(port), generate_client_file=False, log_level="warning")
