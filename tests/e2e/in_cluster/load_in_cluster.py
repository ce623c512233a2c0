"""Posts a picture to a URL until standard input ends, then prints what came of it.

It goes over one connection that is kept, and over a new one each time, side by side.
"""

import json
import sys
import threading
import time
from pathlib import Path

import httpx2

INTERVAL = 0.05
CONNECTIONS_TRIED_AGAIN = 8
"""At growing intervals, a minute in all."""
KEPT, NEW = httpx2.Limits(max_connections=1), httpx2.Limits(max_keepalive_connections=0)


class Load:
    """What came of posting in one way."""

    def __init__(self, limits: httpx2.Limits) -> None:
        self.limits = limits
        self.answered = 0
        self.failures: list[str] = []
        self.begun = threading.Event()

    def post_on(self, url: str, picture: bytes, ended: threading.Event) -> None:
        """Post until it has ended; every answer but a 200 is a failure."""
        with httpx2.Client(limits=self.limits, timeout=60, trust_env=False) as client:
            while not ended.wait(INTERVAL):
                at = time.strftime("%H:%M:%S")
                try:
                    client.post(url, content=picture).raise_for_status()
                    self.answered += 1
                except httpx2.HTTPError as error:
                    self.failures.append(f"{at} {error!r}")
                self.begun.set()


def await_service(url: str, picture: bytes) -> None:
    """Return at the first answer; the node refuses connections to a Service until it has learnt of its pods."""
    with httpx2.Client(transport=httpx2.HTTPTransport(retries=CONNECTIONS_TRIED_AGAIN), trust_env=False) as client:
        client.post(url, content=picture).raise_for_status()


def main() -> None:
    """Arguments: the URL, the picture's file."""
    url, picture = sys.argv[1], Path(sys.argv[2]).read_bytes()
    await_service(url, picture)
    ended = threading.Event()
    loads = {"kept": Load(KEPT), "new": Load(NEW)}
    threads = [threading.Thread(target=load.post_on, args=(url, picture, ended)) for load in loads.values()]
    for thread in threads:
        thread.start()
    for load in loads.values():
        load.begun.wait()
    sys.stderr.write("started\n")
    sys.stderr.flush()
    sys.stdin.read()
    ended.set()
    for thread in threads:
        thread.join()
    outcome = {name: {"answered": load.answered, "failures": load.failures} for name, load in loads.items()}
    sys.stdout.write(json.dumps(outcome))


if __name__ == "__main__":
    main()
