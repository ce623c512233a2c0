"""Images by https:// and s3:// addresses: fetched where that is allowed, and from nowhere else."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import httpx2
import pytest

from tests.integration.prediction_log.stores import KEY_ID, SECRET_KEY, Store, s3_client, start_minio, wait_until
from tests.integration.server.conftest import Start
from tests.integration.server.https_server import (
    HttpsServer,
    no_length,
    send,
    send_folded,
    send_many_headers,
    send_unsaid,
    serve_https,
    stall,
    trickle,
)
from tests.integration.server.process import Server
from tests.tiny_model import make_image, write_document

PREDICT = "/api/v1/predict"
RED = make_image("red")
LIMIT = 2**20


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpsServer]:
    with serve_https(tmp_path_factory.mktemp("elsewhere")) as server:
        server.answers |= {
            "/red.png": send(RED),
            "/moved": send(b"", 302, location="/red.png"),
            "/leaves": send(b"", 302, location="https://127.0.0.1:1/red.png"),
            "/plain": send(b"", 302, location="http://localhost/red.png"),
            "/circle": send(b"", 302, location="/circle"),
            "/large": send(b"x" * (LIMIT + 1)),
            "/large-unsaid": send_unsaid(b"x" * (LIMIT + 1)),
            "/broken": send(b"", 500),
            "/folded": send_folded,
            "/short": send(RED, length=len(RED) + 1),
            "/long": send(RED + b"more", length=len(RED)),
            "/lost": send(b"", 302, location="https://["),
            "/file": send(b"", 302, location="file:///etc/passwd"),
            "/user": send(b"", 302, location="https://user:word@localhost/red.png"),
            "/metadata": send(b"", 302, location="https://169.254.169.254/latest/meta-data/"),
            "/unlisted": send(b"", 302, location="//elsewhere.example.com/red.png"),
            "/no-length": no_length,
            "/many-headers": send_many_headers,
            "/trickling-body": trickle(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", b"x"),
            "/trickling-chunks": trickle(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
            "/trickling-headers": trickle(b"HTTP/1.1 200 OK\r\n", b"a: b\r\n"),
            "/photos/trickling.png": trickle(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", b"x"),
            "/stalls": stall,
        }
        yield server


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    store = start_minio(tmp_path_factory.mktemp("minio"))
    client = s3_client(store.url)
    for bucket in ("photos", "secrets"):
        client.create_bucket(Bucket=bucket)
        client.put_object(Bucket=bucket, Key="a/red.png", Body=RED)
    for size in (LIMIT, LIMIT + 1):
        client.put_object(Bucket="photos", Key=f"{size}-bytes", Body=b"x" * size)
    yield store
    store.stop()


@pytest.fixture(scope="module")
def fetching(tmp_path_factory: pytest.TempPathFactory, elsewhere: HttpsServer, store: Store) -> Iterator[Server]:
    """A server that may ask the HTTPS server by its name, and the store's bucket `photos`."""
    host = elsewhere.url.removeprefix("https://")
    images = {"allow": [host, "s3://photos"], "private": [host], "s3": {"endpoint": store.url}}
    document = write_document(tmp_path_factory.mktemp("fetching"), images=images, limits={"bytes": "1Mi"})
    environment = {
        "CLASSIFIER_CA_FILE": str(elsewhere.ca_file),
        "CLASSIFIER_IMAGES_ACCESS_KEY_ID": KEY_ID,
        "CLASSIFIER_IMAGES_SECRET_ACCESS_KEY": SECRET_KEY,
        "HTTPS_PROXY": "http://127.0.0.1:1",
    }
    server = Server(document, **environment).wait_until_ready()
    yield server
    server.kill()


def ask(server: Server, path: str, **headers: str) -> httpx2.Response:
    with server.client() as client:
        return client.post(PREDICT, json={"image_path": path}, headers=headers)


def name_problem(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["type"].rpartition("/")[2]


@pytest.mark.parametrize("path", ["/red.png", "/red.png?token=secret", "/moved", "/long"])
def test_an_image_behind_https_is_classified(fetching: Server, elsewhere: HttpsServer, path: str) -> None:
    answer = ask(fetching, elsewhere.url + path)
    assert answer.json()["predictions"][0]["label"] == "red", answer.text


def test_an_image_in_a_store_is_classified(fetching: Server) -> None:
    assert ask(fetching, "s3://photos/a/red.png").json()["predictions"][0]["label"] == "red"


@pytest.mark.parametrize(("size", "wanted"), [(LIMIT, (400, "not-an-image")), (LIMIT + 1, (413, "too-many-bytes"))])
def test_an_image_in_a_store_may_be_as_large_as_any_other(fetching: Server, size: int, wanted: tuple[int, str]) -> None:
    assert name_problem(ask(fetching, f"s3://photos/{size}-bytes")) == wanted


def test_the_logs_credentials_never_open_an_image(start: Start, store: Store) -> None:
    environment = {"AWS_ACCESS_KEY_ID": KEY_ID, "AWS_SECRET_ACCESS_KEY": SECRET_KEY}
    images = {"allow": ["s3://photos"], "s3": {"endpoint": store.url}}
    server = start(images=images, environment=environment).wait_until_ready()
    answer = ask(server, "s3://photos/a/red.png")
    assert name_problem(answer) == (502, "image-unreachable")
    assert "AccessDenied" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("/leaves", (403, "address-not-allowed")),
        ("/plain", (403, "address-not-allowed")),
        ("/absent", (404, "no-such-image")),
        ("/large", (413, "too-many-bytes")),
        ("/large-unsaid", (413, "too-many-bytes")),
        ("/broken", (502, "image-unreachable")),
        ("/circle", (502, "image-unreachable")),
        ("/folded", (400, "not-an-image")),
        ("/short", (502, "image-unreachable")),
        ("/lost", (403, "address-not-allowed")),
        ("/file", (403, "address-not-allowed")),
        ("/user", (403, "address-not-allowed")),
        ("/metadata", (403, "address-not-allowed")),
        ("/unlisted", (403, "address-not-allowed")),
        ("/no-length", (502, "image-unreachable")),
        ("/many-headers", (502, "image-unreachable")),
        ("/stalls", (504, "image-timeout")),
    ],
)
def test_what_goes_wrong_elsewhere_is_said(
    fetching: Server, elsewhere: HttpsServer, path: str, wanted: tuple[int, str]
) -> None:
    answer = ask(fetching, f"{elsewhere.url}{path}?token=hidden")
    assert name_problem(answer) == wanted
    assert "hidden" not in answer.text


@pytest.mark.parametrize(
    ("address", "wanted"),
    [
        ("https://photos.example.com/red.png", (403, "address-not-allowed")),
        ("https://127.0.0.1/red.png", (403, "address-not-allowed")),
        ("s3://secrets/a/red.png", (403, "address-not-allowed")),
        ("s3://photos", (403, "address-not-allowed")),
        ("s3://photos/absent.png", (404, "no-such-image")),
        ("http://localhost/red.png", (403, "image-root-unset")),
        ("file:///etc/passwd", (403, "image-root-unset")),
    ],
)
def test_what_is_not_allowed_is_refused(fetching: Server, address: str, wanted: tuple[int, str]) -> None:
    assert name_problem(ask(fetching, address)) == wanted


def test_who_sends_a_little_at_a_time_is_cut_off(fetching: Server, elsewhere: HttpsServer, start: Start) -> None:
    images = {"allow": ["s3://photos"], "s3": {"endpoint": elsewhere.url}}
    storing = start(images=images, environment={"CLASSIFIER_CA_FILE": str(elsewhere.ca_file)}).wait_until_ready()
    paths = [f"{elsewhere.url}/trickling-{what}" for what in ("body", "chunks", "headers")]
    with ThreadPoolExecutor() as threads, fetching.client() as client:
        from_store = threads.submit(ask, storing, "s3://photos/trickling.png")
        results = client.post(PREDICT, json={"image_paths": paths}).json()["results"]
        assert [result["type"].rpartition("/")[2] for result in results] == ["image-timeout"] * 3
        assert name_problem(from_store.result()) == (504, "image-timeout")


def test_several_are_answered_one_by_one(fetching: Server, elsewhere: HttpsServer) -> None:
    paths = [f"{elsewhere.url}/red.png", f"{elsewhere.url}/absent", "s3://photos/a/red.png"]
    with fetching.client() as client:
        results = client.post(PREDICT, json={"image_paths": paths}).json()["results"]
    assert [result.get("status", 200) for result in results] == [200, 404, 200]


def test_the_trace_goes_along(fetching: Server, elsewhere: HttpsServer) -> None:
    seen: list[str] = []

    def answer(handler: BaseHTTPRequestHandler) -> None:
        seen.append(handler.headers["traceparent"])
        send(RED)(handler)

    elsewhere.answers["/traced"] = answer
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    ask(fetching, f"{elsewhere.url}/traced", traceparent=f"00-{trace}-00f067aa0ba902b7-01")
    assert seen[0].split("-")[1] == trace


def test_predictions_do_not_wait_for_who_answers_slowly(fetching: Server, elsewhere: HttpsServer) -> None:
    address = f"{elsewhere.url}/stalls"
    body = json.dumps({"image_paths": [address + f"?{number}" for number in range(8)]}).encode()
    head = f"POST {PREDICT} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    asked = elsewhere.asked["/stalls"]
    with fetching.connect() as connection:
        connection.sendall(head + body)
        wait_until(lambda: elsewhere.asked["/stalls"] > asked, "the first of them to be asked for")
        with fetching.client() as client:
            assert client.post(PREDICT, content=RED).status_code == 200


@pytest.mark.parametrize("private", [True, False])
def test_a_name_that_leads_to_this_machine_is_refused_unless_that_is_allowed(
    start: Start, elsewhere: HttpsServer, private: bool
) -> None:
    host = elsewhere.url.removeprefix("https://")
    images = {"allow": [host], "private": [host] if private else []}
    server = start(images=images, environment={"CLASSIFIER_CA_FILE": str(elsewhere.ca_file)}).wait_until_ready()
    asked = elsewhere.asked["/red.png"]
    answer = ask(server, f"{elsewhere.url}/red.png")
    assert answer.status_code == (200 if private else 403), answer.text
    assert elsewhere.asked["/red.png"] == asked + private


@pytest.mark.parametrize("private", [True, False])
def test_a_redirect_to_an_allowed_name_in_a_private_network_is_refused_unless_that_is_allowed_too(
    start: Start, elsewhere: HttpsServer, tmp_path: Path, private: bool
) -> None:
    with serve_https(tmp_path) as inner:
        inner.answers["/red.png"] = send(RED)
        elsewhere.answers["/inwards"] = send(b"", 302, location=f"{inner.url}/red.png")
        hosts = [server.url.removeprefix("https://") for server in (elsewhere, inner)]
        images = {"allow": hosts, "private": hosts if private else hosts[:1]}
        trusted = tmp_path / "both.crt"
        trusted.write_text(elsewhere.ca_file.read_text() + inner.ca_file.read_text())
        server = start(images=images, environment={"CLASSIFIER_CA_FILE": str(trusted)}).wait_until_ready()
        answer = ask(server, f"{elsewhere.url}/inwards")
        if private:
            assert answer.json()["predictions"][0]["label"] == "red", answer.text
        else:
            assert name_problem(answer) == (403, "address-not-allowed")
        assert inner.asked.total() == private


def test_without_a_list_every_address_is_refused(start: Start, elsewhere: HttpsServer, tmp_path: Path) -> None:
    server = start(environment={"IMAGE_ROOT": str(tmp_path)}).wait_until_ready()
    asked = elsewhere.asked.total()
    for address in (f"{elsewhere.url}/red.png", "s3://photos/a/red.png"):
        assert name_problem(ask(server, address)) == (403, "address-not-allowed")
    assert elsewhere.asked.total() == asked
