"""A constant load, and what came of it."""

import json
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import httpx2

INTERVAL = 0.05
ROUTED_WITHIN = 60


def await_route(url: str, host: str | None, picture: bytes, *, bearer: str | None = None) -> httpx2.Response:
    """Return the ingress controller's first answer; what it says while it has yet to learn of a route is none."""
    deadline = time.monotonic() + ROUTED_WITHIN
    headers = {"Host": host} if host else {}
    if bearer is not None:
        headers["Authorization"] = f"Bearer {bearer}"
    while True:
        answer = httpx2.post(url, content=picture, headers=headers, trust_env=False)
        if answer.status_code == 200:
            return answer
        assert answer.status_code in {404, 503}, answer.text
        assert time.monotonic() < deadline, answer.text
        # The controller can't be watched.
        threading.Event().wait(0.2)


@dataclass
class Load:
    """Posts a picture twenty times a second while the block runs, and keeps what failed and what was answered.

    `keep_alive`: over one connection; else over a new one each time.
    """

    url: str
    host: str
    picture: bytes
    keep_alive: bool = True
    failures: list[str] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)
    ids: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._ended = threading.Event()
        await_route(self.url, self.host, self.picture)
        self._thread = threading.Thread(target=self._post_on)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._ended.set()
        self._thread.join()

    def _post_on(self) -> None:
        limits = httpx2.Limits(max_keepalive_connections=1 if self.keep_alive else 0)
        with httpx2.Client(headers={"Host": self.host}, limits=limits, timeout=60, trust_env=False) as client:
            while not self._ended.wait(INTERVAL):
                self._post(client)

    def _post(self, client: httpx2.Client) -> None:
        started, begun = time.strftime("%H:%M:%S"), time.perf_counter()
        try:
            answer = client.post(self.url, content=self.picture)
        except httpx2.HTTPError as error:
            self.failures.append(f"{started} {error!r}")
            return
        if answer.status_code == 200:
            self.seconds.append(time.perf_counter() - begun)
            self.ids.append(answer.json()["request_id"])
            self.answers[json.dumps([each["label"] for each in answer.json()["predictions"]])] += 1
        else:
            self.failures.append(f"{started} {answer.status_code} {answer.text[:200]}")
