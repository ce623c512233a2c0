"""Models, labels and images by s3://, from a real store."""

from pathlib import Path

import pytest

from classifier_inference.report.termination import Fetched
from tests.integration.fetch.conftest import Bucket, Tool, digest
from tests.integration.prediction_log.stores import BUCKET, Gate, Store, credentials
from tests.integration.server.process import Server, free_port
from tests.tiny_model import COLOURS, build_external_model, build_model, make_image


def put(bucket: Bucket, files: dict[str, bytes]) -> str:
    """Return the model's address."""
    addresses = [bucket.put(path, content) for path, content in files.items()]
    return addresses[0]


def test_a_model_is_brought_with_its_labels_its_images_and_the_files_that_it_names(
    tool: Tool, bucket: Bucket, model: dict[str, bytes], tmp_path: Path
) -> None:
    uri = put(bucket, model)
    sha256 = digest(tmp_path / "own", model)
    labels = {"uri": bucket.put("labels.txt", "\n".join(COLOURS).encode())}
    test = {"label": "red", "image": {"uri": bucket.put("tests/red 1.png".replace(" ", "_"), make_image("red"))}}
    status, note = tool.fetch(uri, model={"sha256": sha256, "labels": labels}, selfTest=[test])
    assert (status, note) == (0, Fetched(sha256=sha256, bytes=sum(map(len, model.values()))))
    server = Server(tool.document, f"--files={tool.to}").wait_until_ready()
    with server.client() as client:
        answer = client.post("/api/v1/predict", content=make_image("blue")).json()
    server.kill()
    assert (answer["predictions"][0]["label"], answer["model"]["sha256"]) == ("blue", sha256)


def test_a_model_is_served_without_a_cluster_too(tool: Tool, bucket: Bucket, model: dict[str, bytes]) -> None:
    document = tool.write(put(bucket, model), tracking=None)
    server = Server(document, **credentials()).wait_until_ready()
    with server.client() as client:
        assert client.post("/api/v1/predict", content=make_image("green")).status_code == 200
    server.kill()


def test_a_wrong_key_and_a_missing_bucket_are_told_in_the_stores_own_words(tool: Tool, bucket: Bucket) -> None:
    missing = f"s3://{BUCKET}/{bucket.prefix}/nothing.onnx"
    said = f"the model at {missing}: the store answered NoSuchKey: The specified key does not exist."
    tool.refuse(missing, "ModelNotFound", said)
    nowhere = "s3://no-such-bucket/model.onnx"
    tool.refuse(nowhere, "ModelNotFound", "the store answered NoSuchBucket: The specified bucket does not exist")
    uri = bucket.put("model.onnx", build_model())
    tool.refuse(uri, "LabelsNotFound", "the labels at", "NoSuchKey", model={"labels": {"uri": missing}})
    test = {"label": "red", "image": {"uri": missing}}
    tool.refuse(uri, "SelfTestImageNotFound", "the image of selfTest[0] at", selfTest=[test])
    assert "retrying" not in tool.text


def test_credentials_that_are_missing_or_wrong_are_told_and_never_shown(tool: Tool, bucket: Bucket) -> None:
    uri = bucket.put("model.onnx", build_model())
    tool.environment = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}
    wanted = "there are no credentials for the store: the Secret that storage.secret names needs the keys accessKeyId"
    tool.refuse(uri, "ModelUnreachable", wanted)
    tool.environment = {"AWS_ACCESS_KEY_ID": credentials()["AWS_ACCESS_KEY_ID"], "AWS_SECRET_ACCESS_KEY": "passw0rd"}
    tool.refuse(uri, "ModelUnreachable", "the store answered SignatureDoesNotMatch: ")
    assert "passw0rd" not in tool.text
    tool.environment = {"AWS_ACCESS_KEY_ID": "nobody", "AWS_SECRET_ACCESS_KEY": "passw0rd"}
    tool.refuse(uri, "ModelUnreachable", "the store answered InvalidAccessKeyId: ")


def test_a_store_that_is_away_is_retried(tool: Tool, bucket: Bucket, minio: Store) -> None:
    uri = bucket.put("model.onnx", build_model())
    gate = Gate(minio.port)
    tool.endpoint = gate.url
    tool.expect_retries(uri, gate, "the store can't be connected to")


def test_what_is_no_store_is_told(tool: Tool, bucket: Bucket, mlflow: Store) -> None:
    tool.endpoint = mlflow.url
    tool.refuse(f"s3://{BUCKET}/model.onnx", "ModelNotFound", "the store answered 404", retry_seconds=1)
    tool.endpoint = f"http://127.0.0.1:{free_port()}"
    tool.refuse(f"s3://{BUCKET}/model.onnx", "ModelUnreachable", "can't be connected to", retry_seconds=1)


def test_a_file_over_its_bound_is_not_brought(tool: Tool, bucket: Bucket) -> None:
    uri = bucket.put("model.onnx", build_model())
    labels = {"uri": bucket.put("labels.txt", b"a" * (16 * 2**20 + 1))}
    tool.refuse(uri, "LabelsUnreachable", "it is over 16777216 bytes", model={"labels": labels})


@pytest.mark.parametrize("location", ["../secret.bin", "/etc/passwd", "a/../../secret.bin"])
def test_a_graph_that_names_a_file_outside_its_folder_is_refused(tool: Tool, bucket: Bucket, location: str) -> None:
    content, weights = build_external_model(location)
    bucket.put("secret.bin", weights)
    uri = bucket.put("inner/model.onnx", content)
    tool.refuse(uri, "ModelInvalid", f"keeps tensors in {location!r}, which is not inside its folder")
    assert not list(tool.to.parent.rglob("secret.bin"))


def test_a_file_that_the_graph_names_and_the_store_lacks_is_told(tool: Tool, bucket: Bucket) -> None:
    content, _ = build_external_model("weights.bin")
    uri = bucket.put("model.onnx", content)
    tool.refuse(uri, "ModelNotFound", f"{bucket.prefix}/weights.bin: the store answered NoSuchKey")


def test_a_digest_covers_the_files_that_the_graph_names(tool: Tool, bucket: Bucket, tmp_path: Path) -> None:
    content, weights = build_external_model("weights.bin")
    sha256 = digest(tmp_path / "own", {"model.onnx": content, "weights.bin": weights})
    uri = put(bucket, {"model.onnx": content, "weights.bin": weights[::-1]})
    tool.refuse(uri, "DigestMismatch", f"the object says {sha256}", model={"sha256": sha256})
