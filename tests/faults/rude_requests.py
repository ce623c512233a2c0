"""Requests that are answered, and requests that can't be: what a server meets in a bad week."""

import base64
import gzip
import json
import random
from collections.abc import Callable, Iterator
from contextlib import suppress

import httpx2

from tests.integration.server.process import Server
from tests.mutants import make_mutants
from tests.tiny_model import COLOURS, encode, make_image, make_noise

PREDICT = "/api/v1/predict"
INFER = "/v2/models/colours/infer"
HELD = 40
"""Connections that are kept half open."""

Ask = Callable[[httpx2.Client], httpx2.Response]

PHOTOS = [encode(make_noise(size), kind) for size in ((320, 240), (640, 480)) for kind in ("JPEG", "PNG", "WEBP")]
PHOTOS += [encode(make_noise((500, 400)), "JPEG", progressive=True), *(make_image(colour) for colour in COLOURS)]


def good_requests(dice: random.Random) -> Iterator[Ask]:
    """Yield requests of every protocol, each of which has a 2xx."""
    while True:
        photo = dice.choice(PHOTOS)
        tensor = {"name": "image", "datatype": "BYTES", "shape": [1]}
        asked = {"inputs": [{**tensor, "data": [base64.b64encode(photo).decode()]}]}
        header = json.dumps({"inputs": [{**tensor, "parameters": {"binary_data_size": len(photo) + 4}}]}).encode()
        binary = header + len(photo).to_bytes(4, "little") + photo
        of_binary = {"Inference-Header-Content-Length": str(len(header))}
        task = {"inputs": base64.b64encode(photo).decode(), "parameters": {"top_k": 2}}
        yield dice.choice(
            (
                _post(PREDICT, content=photo),
                _post(PREDICT, content=photo),
                _post(PREDICT, files={"file": photo}),
                _post(PREDICT, files=[("file", photo), ("file", make_image("red"))]),
                _post(PREDICT, json={"image_path": "cat.jpg"}),
                _post(PREDICT, json={"image_paths": ["cat.jpg", "nothing.jpg"]}),
                _post("/", content=photo),
                _post("/", json=task),
                _post(INFER, json=asked),
                _post(INFER, content=binary, headers=of_binary),
                _post(INFER, content=gzip.compress(json.dumps(asked).encode()), headers={"Content-Encoding": "gzip"}),
                *map(_get, ("/", "/metrics", "/healthz", "/readyz", "/api/v1/health", "/v2", "/v2/models/colours")),
                *map(_get, ("/docs", "/openapi.json", "/v2/models/colours/stats")),
            )
        )


def bad_requests(dice: random.Random) -> Iterator[Ask]:
    """Yield requests that have a 4xx, mostly: among the mutants some are images."""
    mutants = make_mutants(dice.randrange(2**32))
    while True:
        yield dice.choice(
            (
                _post(PREDICT, content=next(mutants)),
                _post(PREDICT, content=next(mutants)),
                _post("/", content=next(mutants)),
                _post(PREDICT, content=dice.randbytes(dice.randrange(1, 5000))),
                _post(PREDICT, content=b"\xff" * (2**21)),
                _post(PREDICT, content=b'{"image_path": ' * dice.randrange(1, 50)),
                _post(PREDICT, json={"image_path": f"../{dice.random()}"}),
                _post(PREDICT, json={"image_path": f"https://{dice.random()}.test/"}),
                _post(PREDICT, content=b"--x\r\n" + dice.randbytes(300)),
                _post(INFER, content=dice.randbytes(200), headers={"Content-Encoding": "gzip"}),
                _post(INFER, json={"inputs": [{"name": str(dice.random()), "datatype": "FP32", "shape": [1]}]}),
                _post(f"/v2/models/{dice.random()}/infer", content=b"{}"),
                _get(f"/{dice.random()}"),
                lambda client: client.request(f"M{dice.randrange(10**6)}", PREDICT),
            )
        )


def _post(path: str, **how: object) -> Ask:
    return lambda client: client.post(path, **how)  # type: ignore[arg-type]


def _get(path: str) -> Ask:
    return lambda client: client.get(path)


class Rude:
    """Connections that are no proper requests: aborted, half open, garbage, and as many at once as fill the queue."""

    def __init__(self, server: Server, dice: random.Random) -> None:
        self._server = server
        self._dice = dice
        self._held = [server.connect() for _ in range(HELD)]

    def trouble(self) -> None:
        """Do one of these."""
        self._dice.choice((self._abort, self._abort, self._hold, self._hold, self._talk_nonsense, self._fill_queue))()

    def _begin(self, length: int, sent: int) -> bytes:
        return f"POST {PREDICT} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n".encode() + PHOTOS[0][:sent]

    def _abort(self) -> None:
        with self._server.connect() as connection:
            connection.sendall(self._begin(len(PHOTOS[0]), self._dice.randrange(1, 5000)))

    def _hold(self) -> None:
        place = self._dice.randrange(HELD)
        self._held[place].close()
        self._held[place] = self._server.connect()
        self._held[place].sendall(self._begin(100_000, 100)[: self._dice.randrange(1, 200)])

    def _talk_nonsense(self) -> None:
        with self._server.connect() as connection, suppress(OSError):
            connection.sendall(self._dice.randbytes(100) + b"\r\n\r\n")
            connection.recv(1000)

    def _fill_queue(self) -> None:
        opened = [self._server.connect() for _ in range(80)]
        for connection in opened:
            connection.sendall(self._begin(50_000, 0))
        for connection in opened:
            connection.close()

    def close(self) -> None:
        """Let go of all."""
        for connection in self._held:
            connection.close()
