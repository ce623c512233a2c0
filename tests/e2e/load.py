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


@dataclass
class Load:
    """Posts a picture twenty times a second while the block runs, and keeps what failed and what was answered."""

    url: str
    host: str
    picture: bytes
    failures: list[str] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)

    def __enter__(self) -> Self:
        self._ended = threading.Event()
        self._answered = threading.Event()
        self._thread = threading.Thread(target=self._post_on)
        self._thread.start()
        assert self._answered.wait(10), "no answer came at all"
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._ended.set()
        self._thread.join()

    @property
    def requests(self) -> int:
        return len(self.failures) + self.answers.total()

    def _post_on(self) -> None:
        with httpx2.Client(headers={"Host": self.host}, timeout=10, trust_env=False) as client:
            while not self._ended.wait(INTERVAL):
                self._post(client)
                self._answered.set()

    def _post(self, client: httpx2.Client) -> None:
        started = time.strftime("%H:%M:%S")
        try:
            answer = client.post(self.url, content=self.picture)
        except httpx2.HTTPError as error:
            self.failures.append(f"{started} {error!r}")
            return
        if answer.status_code == 200:
            self.answers[json.dumps([each["label"] for each in answer.json()["predictions"]])] += 1
        else:
            self.failures.append(f"{started} {answer.status_code} {answer.text[:200]}")
