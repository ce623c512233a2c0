"""Asks a server through KServe's own REST client, and prints what it was told as JSON.

Arguments: URL, model, image file, headers as JSON.
"""

import asyncio
import base64
import json
import sys
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig


def build_request(model: str, image: bytes, *, binary: bool) -> InferRequest:
    values = [image if binary else base64.b64encode(image)] * 2
    tensor = InferInput("image", [2], "BYTES")
    tensor.set_data_from_numpy(np.array(values, np.object_), binary_data=binary)
    return InferRequest(model, [tensor], request_id="my id")


async def ask(url: str, model: str, image: bytes, headers: dict[str, str]) -> dict[str, Any]:
    client = InferenceRESTClient(RESTConfig(protocol="v2", timeout=120))
    told: dict[str, Any] = {
        "live": await client.is_server_live(url),
        "ready": await client.is_server_ready(url),
        "model_ready": await client.is_model_ready(url, model, headers=headers),
        "other_ready": await client.is_model_ready(url, "other", headers=headers),
    }
    for form in ("binary", "json"):
        request = build_request(model, image, binary=form == "binary")
        # A copy: the client adds the length of a binary request to the headers that it is given.
        answer = await client.infer(url, request, model, headers={**headers})
        assert answer.id == "my id"
        scores = answer.outputs[0].as_numpy()
        told[form] = {"shape": list(scores.shape), "scores": scores.tolist()}
    try:
        await client.infer(url, build_request(model, b"hello", binary=True), model, headers={**headers})
    except httpx.HTTPStatusError as error:
        told["bad"] = error.response.status_code
    return told


if __name__ == "__main__":
    url, model, path, headers = sys.argv[1:]
    print(json.dumps(asyncio.run(ask(url, model, Path(path).read_bytes(), json.loads(headers)))))  # noqa: T201
