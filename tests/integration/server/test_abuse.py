"""HTTP, JSON and forms as nobody ought to send them: refused, and the next request is answered."""

import json
import re
import socket
from contextlib import suppress

import httpx2
import pytest

from classifier_inference.http.body import MOST_HEADERS, MOST_PARTS
from classifier_inference.http.problem import MOST_DETAIL
from tests.integration.server.process import Server, read_answer
from tests.tiny_model import make_image

PREDICT = "/api/v1/predict"
RED = make_image("red")
POST = b"POST /api/v1/predict HTTP/1.1\r\nHost: a\r\n"
GET = b"GET /healthz HTTP/1.1\r\nHost: a\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"


def exchange(server: Server, sent: bytes) -> bytes:
    """Send, and return what comes until the other end closes."""
    received = b""
    with server.connect() as connection, suppress(OSError):
        connection.sendall(sent)
        while part := connection.recv(65536):
            received += part
    return received


def list_statuses(received: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1\.[01] (\d{3}) ", received)]


@pytest.mark.parametrize(
    "sent",
    [
        POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        POST + b"Content-Length: 5, 6\r\n\r\nhello",
        POST + b"Content-Length: +5\r\n\r\nhello",
        POST + b"Content-Length: -5\r\n\r\nhello",
        POST + b"Content-Length: 0x5\r\n\r\nhello",
        POST + b"Content-Length: 5\r\nContent-Length : 6\r\n\r\nhello",
        POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        POST + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + GET + b"\r\n",
        POST + b"Transfer-Encoding\x0b: chunked\r\n\r\n0\r\n\r\n",
        GET + b"A: b\0c\r\n\r\n",
        GET + b"A b: c\r\n\r\n",
        GET + b": c\r\n\r\n",
        GET + b"A: " + b"b" * 200_000 + b"\r\n\r\n",
        GET + b"".join(b"A%d: b\r\n" % number for number in range(20_000)) + b"\r\n",
        GET + b"Host: b\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\n\r\n",
        b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n",
        b"G\0T /healthz HTTP/1.1\r\nHost: a\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03" + b"\0" * 300,
        b"\0" * 1000,
    ],
)
def test_what_is_no_proper_request_is_refused(server: Server, client: httpx2.Client, sent: bytes) -> None:
    assert list_statuses(exchange(server, sent)) == [400]


@pytest.mark.parametrize(
    "sent",
    [
        CHUNKED + b"zz\r\nhello\r\n0\r\n\r\n",
        CHUNKED + b"-5\r\nhello\r\n0\r\n\r\n",
        CHUNKED + b"5\r\nhelloworld\r\n0\r\n\r\n",
        CHUNKED + b"5 \rhello\r\n0\r\n\r\n",
        CHUNKED + b"f" * 30 + b"\r\nhello\r\n0\r\n\r\n",
        CHUNKED + b"5;" + b"a" * 200_000 + b"\r\nhello\r\n0\r\n\r\n",
        CHUNKED + b"5\r\nhello\r\n0\r\n" + b"A: b\r\n" * 50_000,
    ],
)
def test_a_body_in_bad_pieces_is_refused(server: Server, client: httpx2.Client, sent: bytes) -> None:
    assert list_statuses(exchange(server, sent)) == [400]


@pytest.mark.parametrize("sent", [POST[:20], POST, CHUNKED, CHUNKED + b"5\r\nhello\r\n"])
def test_what_its_sender_ends_early_is_not_answered(server: Server, client: httpx2.Client, sent: bytes) -> None:
    with server.connect() as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1) == b""


def test_requests_in_a_row_are_answered_in_their_order(server: Server, client: httpx2.Client) -> None:
    body = POST + b"Content-Length: %d\r\n\r\n" % len(RED) + RED
    row = b"".join((GET + b"\r\n", body, b"GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n")) * 20
    last = GET + b"Connection: close\r\n\r\n"
    assert list_statuses(exchange(server, row + last)) == [200, 200, 404] * 20 + [200]


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET /healthz HTTP/1.0\r\n\r\n", 200),
        (b"GET  /healthz  HTTP/1.1\r\nHost: a\r\n\r\n", 200),
        (b"POST /api/v1/predict HTTP/1.0\r\nContent-Length: %d\r\n\r\n" % len(RED) + RED, 200),
        (GET + b"Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n", 200),
        (GET + b"Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQ\r\n\r\n", 200),
        (b"GET /" + b"a" * 10_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 404),
        (b"GET /healthz?" + b"a=b&" * 3000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 200),
        (CHUNKED + b"%x;name=value\r\n" % len(RED) + RED + b"\r\n0\r\nTrailer: a\r\n\r\n", 200),
    ],
)
def test_what_is_merely_unusual_is_answered(server: Server, client: httpx2.Client, sent: bytes, status: int) -> None:
    with server.connect() as connection:
        connection.sendall(sent)
        assert read_answer(connection)[0] == status


def test_an_answer_to_http_1_0_ends_the_connection(server: Server, client: httpx2.Client) -> None:
    with server.connect() as connection:
        connection.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
        assert read_answer(connection)[0] == 200
        assert connection.recv(1) == b""


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"image_path":' * 50_000 + b"1" + b"}" * 50_000, 422),
        (b'{"image_path": ' + b"[" * 500_000, 422),
        (b'{"image_path": 1e999}', 422),
        (b'{"image_path": ' + b"9" * 10_000 + b"}", 422),
        (b'{"image_path": NaN}', 422),
        (b'{"image_path": -Infinity}', 422),
        (b'{"image_path": "\xff"}', 422),
        (b'{"image_path": "\\ud800"}', 422),
        (b'{"image_path": "a\\u0000b"}', 422),
        (b'{"image_path": "nothing.png", "image_path": "sub/blue.jpg"}', 200),
        (b'\xef\xbb\xbf{"image_path": "sub/blue.jpg"}', 400),
        (b'{"image_path": "' + b"a" * 900_000 + b'"}', 422),
        (b'{"image_path": "' + b"a" * 1_048_600 + b'"}', 413),
        (b'{"' + b"a" * 900_000 + b'": 1}', 422),
        (b"{" + b",".join(b'"a%d": 1' % number for number in range(70_000)) + b"}", 422),
        (b"{}" * 100, 422),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_json_at_its_limits(client: httpx2.Client, body: bytes, status: int) -> None:
    answer = client.post(PREDICT, content=body)
    assert answer.status_code == status, answer.text[:300]
    assert status == 200 or len(json.loads(answer.text)["detail"]) <= MOST_DETAIL


def part(name: bytes = b"file", content: bytes = RED, *headers: bytes) -> bytes:
    disposition = b'Content-Disposition: form-data; name="' + name + b'"; filename="a.png"\r\n'
    return b"--x\r\n" + disposition + b"".join(headers) + b"\r\n" + content + b"\r\n"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (part(b"other", b"") * (MOST_PARTS + 1) + b"--x--\r\n", 422),
        (part(b"other", b"") * (MOST_PARTS - 1) + part() + b"--x--\r\n", 200),
        (b"--x\r\n\r\n\r\n" * 100_000 + b"--x--\r\n", 422),
        (part(b"file", b"") * 1000 + b"--x--\r\n", 413),
        (part(b"file", RED, b"A: b\r\n" * MOST_HEADERS) + b"--x--\r\n", 422),
        (part(b"file", RED, b"A: " + b"b" * 500_000 + b"\r\n") + b"--x--\r\n", {200, 422}),
        (part(b"a" * 500_000) + b"--x--\r\n", 422),
        (part(b"file", b"--x--\r\n--y\r\n\r\n" + RED + b"\r\n--y--") + b"--x--\r\n", {400, 422}),
        (part(b"file", RED, b"Content-Type: multipart/mixed; boundary=x\r\n") + b"--x--\r\n", 200),
        (part(b"file", RED, b"Content-Transfer-Encoding: base64\r\n") + b"--x--\r\n", 200),
        (part(b"fi\0le") + b"--x--\r\n", 422),
        (part() + b"--x", 422),
        (
            b"--x\r\nContent-Disposition: form-data; name=file; filename*=utf-8''%ff%00\r\n\r\n" + RED + b"\r\n--x--",
            200,
        ),
        (b"--x\r\nContent-Disposition\r\n\r\n\r\n--x--", 422),
        (b"--" + b"x" * 200 + b"\r\n", 400),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_forms_at_their_limits(client: httpx2.Client, body: bytes, status: int | set[int]) -> None:
    answer = client.post(PREDICT, content=body, headers={"Content-Type": "multipart/form-data; boundary=x"})
    assert answer.status_code in (status if isinstance(status, set) else {status}), answer.text[:300]
