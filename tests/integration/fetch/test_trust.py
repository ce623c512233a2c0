"""Stores behind TLS, with certificates of an authority that only CLASSIFIER_CA_FILE names."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from tests.integration.fetch.conftest import Tool, describe
from tests.integration.prediction_log.stores import credentials
from tests.integration.server.https_server import Answer, HttpsServer, serve_https
from tests.tiny_model import build_model


@pytest.fixture
def https(tmp_path: Path) -> Iterator[HttpsServer]:
    """A server that answers as S3 does for a version's files, and as MLflow's registry for the version."""
    version = {"artifact_uri": "s3://models/photos"}
    with serve_https(tmp_path) as server:
        server.answers = {
            "/api/2.0/mlflow/model-versions/get-download-uri": send_tagged(json.dumps(version).encode()),
            "/models/photos/MLmodel": send_tagged(describe()),
            "/models/photos/model.onnx": send_tagged(build_model()),
            "/models/untagged.onnx": send_tagged(build_model(), tag=None),
        }
        yield server


def send_tagged(content: bytes, tag: str | None = '"1"') -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(content)))
        if tag is not None:
            handler.send_header("ETag", tag)
        handler.end_headers()
        handler.wfile.write(content)

    return answer


@pytest.fixture
def secured(tool: Tool, https: HttpsServer) -> Tool:
    tool.endpoint = tool.tracking_uri = https.url
    tool.environment = credentials() | {"CLASSIFIER_CA_FILE": str(https.ca_file)}
    return tool


@pytest.mark.parametrize("uri", ["s3://models/photos/model.onnx", "models:/photos/1"])
def test_stores_are_trusted_by_the_given_authorities_and_not_without_them(secured: Tool, uri: str) -> None:
    assert secured.fetch(uri)[0] == 0, secured.text
    del secured.environment["CLASSIFIER_CA_FILE"]
    secured.refuse(uri, "ModelUnreachable", "its certificate is not trusted")
    assert "retrying" not in secured.text


def test_an_authority_that_is_none_is_named(secured: Tool, https: HttpsServer) -> None:
    https.ca_file.write_text("hello")
    secured.refuse("s3://models/photos/model.onnx", "SpecInvalid", "ca.crt can't be read")


def test_what_hands_out_files_and_is_no_s3_store_is_told(secured: Tool) -> None:
    secured.refuse("s3://models/untagged.onnx", "ModelUnreachable", "what answered there is no S3 store")
