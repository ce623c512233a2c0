"""A real HTTPS server, with a certificate of an authority made for the test, that answers as it is told."""

import gzip
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import trustme

Answer = Callable[[BaseHTTPRequestHandler], None]


def send(content: bytes, status: int = 200, *, length: int | None = None, location: str | None = None) -> Answer:
    """Answer with this content."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(content) if length is None else length))
        if location is not None:
            handler.send_header("Location", location)
        handler.end_headers()
        handler.wfile.write(content)

    return answer


def send_half(content: bytes) -> Answer:
    """Promise all of the content, send half of it and close."""
    return send(content[: len(content) // 2], length=len(content))


def one_after_another(*answers: Answer) -> Answer:
    """Give each answer once, and the last one from then on."""
    left = list(answers)
    return lambda handler: (left.pop(0) if len(left) > 1 else left[0])(handler)


def send_unsaid(content: bytes) -> Answer:
    """Answer without saying how much comes."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(content)

    return answer


def stall(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "100")
    handler.end_headers()
    handler.wfile.flush()
    handler.connection.settimeout(120)
    handler.rfile.read(1)


def send_folded(handler: BaseHTTPRequestHandler) -> None:
    """Answer with what would be far over the limit, did anybody unfold it."""
    content = gzip.compress(b"\0" * 2**24)
    handler.send_response(200)
    handler.send_header("Content-Encoding", "gzip")
    handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    handler.wfile.write(content)


def no_length(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n")


def send_many_headers(handler: BaseHTTPRequestHandler) -> None:
    with suppress(OSError):
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
        for _ in range(10_000):
            handler.wfile.write(b"a: " + b"b" * 1000 + b"\r\n")


def trickle(beginning: bytes, piece: bytes) -> Answer:
    """Answer a piece at a time, each in time, for as long as anybody reads."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        with suppress(OSError):
            handler.wfile.write(beginning)
            while True:
                handler.wfile.write(piece)
                time.sleep(1)

    return answer


class HttpsServer:
    """Answers each path as `answers` says; counts what it is asked."""

    def __init__(self, url: str, ca_file: Path) -> None:
        self.url = url
        self.ca_file = ca_file
        self.answers: dict[str, Answer] = {}
        self.asked: Counter[str] = Counter()
        self.authorization: str | None = None

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        path = handler.path.partition("?")[0]
        self.asked[path] += 1
        self.authorization = handler.headers["Authorization"]
        self.answers.get(path, send(b"no such file", 404))(handler)


@contextmanager
def serve_https(folder: Path) -> Iterator[HttpsServer]:
    """Run a server on localhost; its authority's certificate is written into the folder."""
    authority = trustme.CA()
    ca_file = folder / "ca.crt"
    authority.cert_pem.write_to_path(str(ca_file))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            server.answer(self)

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - http.server's name
            pass

    class QuietServer(ThreadingHTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            """A client that doesn't trust us, or takes no more, goes away: that is what the tests are about."""

    with QuietServer(("localhost", 0), Handler) as listener:
        listener.socket = context.wrap_socket(listener.socket, server_side=True)
        server = HttpsServer(f"https://localhost:{listener.server_address[1]}", ca_file)
        thread = threading.Thread(target=listener.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            listener.shutdown()
            thread.join()
