"""What a server is sent and can't answer: a clear problem, and the server goes on serving."""

import json
import socket
import struct
import zlib
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest

from tests.integration.server.conftest import Start
from tests.integration.server.process import Server, read_answer
from tests.tiny_model import build_model, encode, make_image, make_noise

PREDICT = "/api/v1/predict"
LIMIT = 2**20


def expect(answer: httpx2.Response, status: int, slug: str) -> dict[str, Any]:
    """Return the problem, which must be of that status and type."""
    problem: dict[str, Any] = answer.json()
    assert (answer.status_code, problem["type"].rpartition("/")[2]) == (status, slug), problem
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert problem["status"] == status
    assert set(problem) == {"type", "title", "status", "detail", "request_id"}
    return problem


def png_header(width: int, height: int) -> bytes:
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header)) + b"\0\0\0\0IDAT"
    )


TRUNCATED_JPEG = encode(make_noise((64, 64)), "JPEG")[:1500]


@pytest.mark.parametrize(
    ("body", "content_type", "status", "slug"),
    [
        (b"", "", 400, "empty-body"),
        (b"hello", "", 400, "not-an-image"),
        (b"hello", "image/jpeg", 400, "not-an-image"),
        (TRUNCATED_JPEG, "image/jpeg", 400, "broken-image"),
        (png_header(100_000, 100_000), "", 413, "too-many-pixels"),
        (make_image("red") + b"\0" * LIMIT, "", 413, "too-many-bytes"),
        (make_image(kind="BMP"), "", 415, "unsupported-format"),
        (b"hello", "application/json", 422, "malformed-json"),
        (b'{"image_path": ', "", 422, "malformed-json"),
        (b'{"path": "a"}', "", 422, "invalid-input"),
        (b"--xyz\r\nhello", "", 422, "malformed-multipart"),
        (b'{"image_paths": [' + b'"a",' * 16 + b'"a"]}', "", 413, "too-many-images"),
        (b"--x\r\nContent-Disposition: form-data; name=file\r\n\r\n\r\n--x--", "", 400, "empty-body"),
    ],
)
def test_a_body_that_is_no_image_has_its_problem(
    client: httpx2.Client, body: bytes, content_type: str, status: int, slug: str
) -> None:
    expect(client.post(PREDICT, content=body, headers={"Content-Type": content_type}), status, slug)


@pytest.mark.parametrize(
    ("path", "status", "slug"),
    [
        ("nothing.png", 404, "no-such-image"),
        ("../secret.png", 403, "outside-image-root"),
        ("../nothing.png", 403, "outside-image-root"),
        ("{root}/../secret.png", 403, "outside-image-root"),
        ("/etc/passwd", 403, "outside-image-root"),
        ("/etc/nothing-of-that-name", 403, "outside-image-root"),
        ("link-out.png", 403, "outside-image-root"),
        ("link-out-to-nothing.png", 403, "outside-image-root"),
        ("text.jpg", 400, "not-an-image"),
        ("sub", 422, "unusable-path"),
        ("pipe", 422, "unusable-path"),
        ("a\0b", 422, "unusable-path"),
        ("a" * 300, 422, "unusable-path"),
        ("s3://bucket/key.jpg", 403, "address-not-allowed"),
        ("https://example.org/cat.jpg", 403, "address-not-allowed"),
        ("http://example.org/cat.jpg", 422, "unusable-path"),
    ],
)
def test_a_path_that_is_no_image_inside_has_its_problem(
    client: httpx2.Client, image_root: Path, path: str, status: int, slug: str
) -> None:
    expect(client.post(PREDICT, json={"image_path": path.format(root=image_root)}), status, slug)


@pytest.mark.parametrize(
    ("there", "absent"), [("../secret.png", "../nothing.png"), ("link-out.png", "link-out-to-nothing.png")]
)
def test_the_answer_does_not_tell_whether_there_is_something_outside(
    client: httpx2.Client, there: str, absent: str
) -> None:
    answers = [client.post(PREDICT, json={"image_path": path}).json() for path in (there, absent)]
    for answer in answers:
        del answer["request_id"]
    assert answers[0] == answers[1]


def test_a_huge_claim_costs_no_memory(server: Server, client: httpx2.Client) -> None:
    process = psutil.Process(server.process.pid)
    client.post(PREDICT, content=make_image("red"))
    before = process.memory_info().rss
    for _ in range(5):
        expect(client.post(PREDICT, content=png_header(100_000, 100_000)), 413, "too-many-pixels")
    assert process.memory_info().rss - before < 20 * 2**20


def test_a_declared_length_over_the_limit_is_refused_unread(server: Server, client: httpx2.Client) -> None:
    with server.connect() as connection:
        head = f"POST {PREDICT} HTTP/1.1\r\nHost: x\r\nContent-Length: {10**12}\r\n\r\n"
        connection.sendall(head.encode())
        status, headers, body = read_answer(connection)
    assert (status, headers["connection"]) == (413, "close")
    assert json.loads(body)["type"].endswith("/too-many-bytes")


def test_a_body_over_the_limit_is_not_read_to_its_end(server: Server, client: httpx2.Client) -> None:
    with server.connect() as connection:
        connection.sendall(f"POST {PREDICT} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        sent = send_until_refused(connection, most=10**9)
        status, headers, body = read_answer(connection)
    assert sent < 50 * LIMIT
    assert (status, headers["connection"]) == (413, "close")
    assert json.loads(body)["type"].endswith("/too-many-bytes")


def send_until_refused(connection: socket.socket, most: int) -> int:
    """Send chunks until the other end has closed; return how many bytes that were."""
    sent = 0
    while sent < most:
        try:
            connection.sendall(b"10000\r\n" + b"\xff" * 65536 + b"\r\n")
        except OSError:
            break
        sent += 65536
    return sent


def test_a_client_that_sends_it_all_first_still_reads_the_answer(client: httpx2.Client) -> None:
    expect(client.post(PREDICT, content=b"\xff" * (2 * LIMIT)), 413, "too-many-bytes")


def test_a_refused_connection_is_closed_and_not_reset(server: Server, client: httpx2.Client) -> None:
    body = b"\xff" * (2 * LIMIT)
    with server.connect() as connection:
        connection.sendall(f"POST {PREDICT} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        assert read_answer(connection)[0] == 413
        assert connection.recv(1) == b""


def test_a_client_that_waits_for_leave_is_refused_without_it(server: Server, client: httpx2.Client) -> None:
    with server.connect() as connection:
        head = f"POST {PREDICT} HTTP/1.1\r\nHost: x\r\nContent-Length: {2 * LIMIT}\r\nExpect: 100-continue\r\n\r\n"
        connection.sendall(head.encode())
        assert read_answer(connection)[0] == 413


def test_a_client_that_goes_away_in_the_middle_is_counted(server: Server, client: httpx2.Client) -> None:
    with server.connect() as connection:
        connection.sendall(f"POST {PREDICT} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nhello".encode())
    server.wait_for_request(status=499, path=PREDICT)
    assert 'classifier_requests_total{outcome="abandoned"}' in client.get("/metrics").text


def test_what_is_no_http_is_refused(server: Server, client: httpx2.Client) -> None:
    with server.connect() as connection:
        connection.sendall(b"hello\r\n\r\n")
        assert b"400" in connection.recv(100)


def test_another_route_is_a_problem_too(client: httpx2.Client) -> None:
    expect(client.get("/nothing"), 404, "no-such-route")


@pytest.mark.parametrize(
    ("path", "method", "allowed"),
    [(PREDICT, "GET", {"POST"}), ("/api/v1/health", "POST", {"GET"}), ("/", "PUT", {"GET", "POST"})],
)
def test_another_method_is_told_which_there_are(
    client: httpx2.Client, path: str, method: str, allowed: set[str]
) -> None:
    answer = client.request(method, path)
    problem = answer.json()
    problem.pop("error", None)
    assert (answer.status_code, problem["type"].rpartition("/")[2]) == (405, "method-not-allowed")
    assert set(answer.headers["Allow"].split(", ")) - {"HEAD", "OPTIONS"} == allowed


def test_a_model_that_gives_no_numbers_is_a_failure_of_the_server_and_it_goes_on(start: Start) -> None:
    preprocess = {"resize": {"exact": [8, 8]}, "scale": 200, "mean": [0, 0, 0], "std": [1, 1, 1]}
    server = start(preprocess=preprocess, model_file=build_model(fails_on_white=True)).wait_until_ready()
    with server.client() as client:
        problem = expect(client.post(PREDICT, content=make_image("white")), 500, "internal")
        assert "number" not in problem["detail"]
        assert client.post(PREDICT, content=make_image("black")).status_code == 200
        assert 'classifier_requests_total{outcome="failed"} 1.0' in client.get("/metrics").text
    assert "not finite numbers" in server.wait_for("not finite numbers")
