"""Posts a picture to a URL, a new connection each time, until standard input ends; then prints what came of it."""

import json
import sys
import threading
import time
import urllib.request
from pathlib import Path

INTERVAL = 0.05


def main() -> None:
    """Arguments: the URL, the picture's file."""
    url, picture = sys.argv[1], Path(sys.argv[2]).read_bytes()
    ended = threading.Event()
    threading.Thread(target=await_end, args=(ended,), daemon=True).start()
    failures: list[str] = []
    answered = 0
    while not ended.wait(INTERVAL):
        try:
            with urllib.request.urlopen(urllib.request.Request(url, data=picture), timeout=10) as answer:  # noqa: S310
                answer.read()
                answered += 1
        except OSError as error:
            failures.append(f"{time.strftime('%H:%M:%S')} {error!r}")
        if answered + len(failures) == 1:
            sys.stderr.write("started\n")
            sys.stderr.flush()
    sys.stdout.write(json.dumps({"answered": answered, "failures": failures}))


def await_end(ended: threading.Event) -> None:
    sys.stdin.read()
    ended.set()


if __name__ == "__main__":
    main()
