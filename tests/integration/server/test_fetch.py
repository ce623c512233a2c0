"""`classifier fetch`: what it brings, what it retries, and what it says when it can't."""

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from classifier_inference.report.termination import Failure, Fetched, parse_termination
from tests.integration.server.conftest import Start
from tests.integration.server.https_server import HttpsServer, one_after_another, send, send_half, serve_https
from tests.integration.server.process import Command, free_port
from tests.tiny_model import COLOURS, build_document, build_model, make_image

MODEL = build_model()
SHA256 = hashlib.sha256(MODEL).hexdigest()
UNAVAILABLE = send(b"", 503)


@pytest.fixture
def https(tmp_path: Path) -> Iterator[HttpsServer]:
    with serve_https(tmp_path) as server:
        server.answers["/model.onnx"] = send(MODEL)
        yield server


class Fetch:
    """Runs the command on a document; keeps what it left behind."""

    def __init__(self, folder: Path, ca_file: Path) -> None:
        self.to = folder / "model"
        self.to.mkdir()
        self._document = folder / "classifier.json"
        self._log = folder / "termination-log"
        self._log.touch()
        self._ca_file = ca_file
        self.text = ""

    def run(self, uri: str, *, retry_seconds: float = 60, labels: Any = None, **changes: Any) -> tuple[int, Any]:
        """Return the exit status and the note in the termination log."""
        self._log.write_text("")
        model = {"uri": uri, "labels": labels or {"inline": COLOURS}, **changes.pop("model", {})}
        self._document.write_text(json.dumps(build_document(self.to, model=model, **changes)))
        command = Command(
            "fetch",
            self._document,
            f"--to={self.to}",
            f"--retry-seconds={retry_seconds}",
            CLASSIFIER_CA_FILE=str(self._ca_file),
            CLASSIFIER_TERMINATION_LOG=str(self._log),
        )
        status = command.end()
        self.text = command.text
        return status, parse_termination(self._log.read_text())

    def refuse(self, uri: str, reason: str, message: str, **changes: Any) -> None:
        """Run; it must fail for the reason, with the message, and leave no half file behind."""
        status, note = self.run(uri, **changes)
        assert isinstance(note, Failure), (note, self.text)
        assert (status, note.reason) == (1, reason), note
        assert message in note.message
        assert not list(self.to.glob(".*"))
        assert "Traceback" not in self.text


@pytest.fixture
def fetch(tmp_path: Path, https: HttpsServer) -> Fetch:
    return Fetch(tmp_path, https.ca_file)


def test_every_file_is_brought_by_its_name(fetch: Fetch, https: HttpsServer) -> None:
    https.answers["/labels.txt"] = send(b"a\nb\nc\n")
    https.answers["/red.png"] = send(make_image("red"))
    https.answers["/blue.png"] = send(make_image("blue"))
    tests = [
        {"label": "a", "image": {"uri": f"{https.url}/red.png"}},
        {"label": "c", "image": {"uri": f"{https.url}/blue.png"}},
    ]
    labels = {"uri": f"{https.url}/labels.txt"}
    status, note = fetch.run(f"{https.url}/model.onnx", labels=labels, selfTest=tests, model={"sha256": SHA256})
    assert (status, note) == (0, Fetched(sha256=SHA256, bytes=len(MODEL)))
    assert {path.name: path.read_bytes() for path in fetch.to.iterdir()} == {
        "model.onnx": MODEL,
        "labels": b"a\nb\nc\n",
        "selftest-0": make_image("red"),
        "selftest-1": make_image("blue"),
    }


def test_what_an_image_brought_is_checked_too(fetch: Fetch) -> None:
    uri = "image://models/colours:1/model.onnx"
    fetch.refuse(uri, "ModelNotFound", "model.onnx")
    (fetch.to / "model.onnx").write_bytes(MODEL)
    assert fetch.run(uri, model={"sha256": SHA256}) == (0, Fetched(sha256=SHA256, bytes=len(MODEL)))
    fetch.refuse(uri, "DigestMismatch", SHA256, model={"sha256": "0" * 64})


@pytest.mark.parametrize(
    ("status", "reason"),
    [(404, "ModelNotFound"), (410, "ModelNotFound"), (401, "ModelUnreachable"), (403, "ModelUnreachable")],
)
def test_what_retrying_can_not_mend_ends_at_once(fetch: Fetch, https: HttpsServer, status: int, reason: str) -> None:
    https.answers["/model.onnx"] = send(b"", status)
    fetch.refuse(f"{https.url}/model.onnx", reason, f"/model.onnx: the server answered {status}")
    assert https.asked["/model.onnx"] == 1


def test_each_files_failure_has_its_own_reason(fetch: Fetch, https: HttpsServer) -> None:
    uri = f"{https.url}/model.onnx"
    fetch.refuse(uri, "LabelsNotFound", "the labels at", labels={"uri": f"{https.url}/labels.txt"})
    test = {"label": "red", "image": {"uri": f"{https.url}/red.png"}}
    fetch.refuse(uri, "SelfTestImageNotFound", "the image of selfTest[0] at", selfTest=[test])
    https.answers["/labels.txt"] = send(b"a\n\nc")
    fetch.refuse(uri, "LabelsInvalid", "line 2", labels={"uri": f"{https.url}/labels.txt"})


@pytest.mark.parametrize("passing", [UNAVAILABLE, send(b"", 500), send(b"", 429), send_half(MODEL)])
def test_what_may_pass_is_retried(fetch: Fetch, https: HttpsServer, passing: Callable[..., None]) -> None:
    https.answers["/model.onnx"] = one_after_another(passing, passing, send(MODEL))
    status, note = fetch.run(f"{https.url}/model.onnx")
    assert (status, note) == (0, Fetched(sha256=SHA256, bytes=len(MODEL)))
    assert https.asked["/model.onnx"] == 3


@pytest.mark.parametrize(
    ("passing", "message"),
    [
        (UNAVAILABLE, "the server answered 503 Service Unavailable"),
        (send_half(MODEL), "closed before the end of the file"),
    ],
)
def test_what_does_not_pass_is_named_in_the_end(
    fetch: Fetch, https: HttpsServer, passing: Callable[..., None], message: str
) -> None:
    https.answers["/model.onnx"] = passing
    fetch.refuse(f"{https.url}/model.onnx", "ModelUnreachable", message, retry_seconds=4)
    assert https.asked["/model.onnx"] > 1


def test_a_refused_connection_is_retried_then_named(fetch: Fetch) -> None:
    uri = f"https://localhost:{free_port()}/model.onnx"
    fetch.refuse(uri, "ModelUnreachable", "the connection was refused", retry_seconds=4)
    assert "retrying" in fetch.text


def test_a_host_that_does_not_exist_is_retried_then_named(fetch: Fetch) -> None:
    fetch.refuse("https://nothing.invalid/m", "ModelUnreachable", "name can't be resolved", retry_seconds=4)
    assert "retrying" in fetch.text


def test_a_wrong_digest_names_both(fetch: Fetch, https: HttpsServer) -> None:
    message = f"the model's sha256 is {SHA256}, and the object says {'0' * 64}"
    fetch.refuse(f"{https.url}/model.onnx", "DigestMismatch", message, model={"sha256": "0" * 64})
    assert https.asked["/model.onnx"] == 1


def test_a_certificate_that_is_not_trusted_ends_at_once(fetch: Fetch, https: HttpsServer, tmp_path: Path) -> None:
    trustme.CA().cert_pem.write_to_path(str(https.ca_file))
    fetch.refuse(f"{https.url}/model.onnx", "ModelUnreachable", "its certificate is not trusted")
    assert "retrying" not in fetch.text


def test_a_ca_file_that_holds_no_certificate_is_named(fetch: Fetch, https: HttpsServer) -> None:
    https.ca_file.write_text("hello")
    fetch.refuse(f"{https.url}/model.onnx", "SpecInvalid", "ca.crt can't be read")


def test_a_redirect_is_followed_to_https_alone(fetch: Fetch, https: HttpsServer) -> None:
    https.answers["/moved"] = send(b"", 302, location="/model.onnx")
    assert fetch.run(f"{https.url}/moved")[0] == 0
    https.answers["/plain"] = send(b"", 302, location="http://localhost/model.onnx")
    fetch.refuse(f"{https.url}/plain", "ModelUnreachable", "redirected to an address that is not https")
    https.answers["/loop"] = send(b"", 302, location="/loop")
    fetch.refuse(f"{https.url}/loop", "ModelUnreachable", "redirected too often")


def test_a_file_over_its_bound_is_not_brought(fetch: Fetch, https: HttpsServer) -> None:
    https.answers["/red.png"] = send(make_image("red") + b"\0" * 2000)
    test = {"label": "red", "image": {"uri": f"{https.url}/red.png"}}
    uri = f"{https.url}/model.onnx"
    fetch.refuse(uri, "SelfTestImageUnreachable", "over 1000 bytes", selfTest=[test], limits={"bytes": 1000})


def test_secrets_in_an_address_are_used_and_never_shown(fetch: Fetch, https: HttpsServer) -> None:
    base = https.url.replace("https://", "https://user:passw0rd@")
    assert fetch.run(f"{base}/model.onnx?token=t0ken")[0] == 0
    assert https.authorization is not None
    texts = [fetch.text]
    for path in ("nothing", "moved", "broken"):
        https.answers["/moved"] = send(b"", 302, location="http://user:passw0rd@localhost/?token=t0ken")
        https.answers["/broken"] = UNAVAILABLE
        _, note = fetch.run(f"{base}/{path}?token=t0ken", retry_seconds=1)
        texts += [fetch.text, note.message]
    for text in texts:
        assert "passw0rd" not in text
        assert "t0ken" not in text


def test_a_file_address_only_works_without_a_cluster(fetch: Fetch) -> None:
    fetch.refuse("file:model.onnx", "SpecInvalid", "without a cluster")


def test_a_document_that_is_wrong_is_refused(fetch: Fetch, https: HttpsServer) -> None:
    fetch.refuse(f"{https.url}/model.onnx", "SpecInvalid", "spec.topK", topK=0)


def test_a_model_behind_https_is_served_without_a_cluster(start: Start, https: HttpsServer) -> None:
    https.answers["/model.onnx"] = one_after_another(UNAVAILABLE, send(MODEL))
    model = {"uri": f"{https.url}/model.onnx", "labels": {"inline": COLOURS}, "sha256": SHA256}
    server = start(f"--ca-file={https.ca_file}", model=model).wait_until_ready()
    with server.client() as client:
        assert client.post("/api/v1/predict", content=make_image()).status_code == 200
