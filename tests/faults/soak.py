"""Good and bad requests together, and what they leave behind.

The slope of resident memory, by least squares, after a fifth of the time; descriptors before and after; and every file
that the process had open for writing.
"""

import os
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import numpy as np
import psutil

from tests.faults.rude_requests import Ask, Rude, bad_requests, good_requests
from tests.integration.server.process import Server
from tests.mutant_load import FORMATS
from tests.tiny_model import encode, make_noise, write_document

MIB = 2**20
SAMPLE_SECONDS = 2


@dataclass
class Seen:
    """What was seen of the process."""

    resident: list[tuple[float, float]] = field(default_factory=list)
    """Seconds since the start, and MiB."""
    descriptors: list[int] = field(default_factory=list)
    written: set[str] = field(default_factory=set)
    """Files that were open for writing."""
    statuses: dict[str, Counter[int]] = field(default_factory=lambda: {"good": Counter(), "bad": Counter()})

    def slope(self, after: float) -> float:
        """Return MiB an hour."""
        times, sizes = np.array([sample for sample in self.resident if sample[0] >= after]).T
        return float(np.polyfit(times, sizes, 1)[0] * 3600)


def ask_on(server: Server, requests: Iterator[Ask], counts: Counter[int], rate: float, end: float) -> None:
    """Ask at that rate until then, over one connection."""
    with httpx2.Client(base_url=server.url, timeout=60) as client:
        while time.monotonic() < end:
            due = time.monotonic() + 1 / rate
            try:
                counts[next(requests)(client).status_code] += 1
            except httpx2.TransportError:
                counts[0] += 1
            time.sleep(max(0.0, due - time.monotonic()))


def trouble_on(server: Server, rate: float, end: float) -> None:
    rude = Rude(server, random.Random(5))
    while time.monotonic() < end:
        with suppress(OSError):
            rude.trouble()
        time.sleep(1 / rate)
    rude.close()


def watch(process: psutil.Process, seen: Seen, started: float) -> None:
    seen.resident.append((time.monotonic() - started, process.memory_info().rss / MIB))
    seen.descriptors.append(process.num_fds())
    folder = Path(f"/proc/{process.pid}/fd")
    # Its output is whoever started it's.
    for descriptor in (entry for entry in folder.iterdir() if entry.name not in {"1", "2"}):
        with suppress(OSError):
            path = str(descriptor.readlink())
            flags = int(Path(f"/proc/{process.pid}/fdinfo/{descriptor.name}").read_text().split()[3], 8)
            if path.startswith("/") and not path.startswith("/dev/") and flags & (os.O_WRONLY | os.O_RDWR):
                seen.written.add(path)


@contextmanager
def serve(folder: Path) -> Iterator[Server]:
    """Yield a server with a log that no store takes and little of everything; ends it, which must not have died."""
    (folder / "tmp").mkdir()
    (folder / "cat.jpg").write_bytes(encode(make_noise((320, 240)), "JPEG"))
    document = write_document(
        folder,
        limits={"formats": FORMATS, "bytes": "1Mi", "memory": "256Mi", "queue": 32},
        tracking={"mode": "External", "uri": "http://127.0.0.1:1"},
        storage={"mode": "External", "endpoint": "http://127.0.0.1:1", "bucket": "none"},
        predictionLog={"spool": "64Mi"},
    )
    environment = {"IMAGE_ROOT": str(folder), "TMPDIR": str(folder / "tmp")}
    arguments = (f"--files={folder}", f"--spool={folder / 'spool'}")
    server = Server(document, *arguments, **environment).wait_until_ready()
    try:
        yield server
        assert server.process.poll() is None
    finally:
        server.kill()


def find_written(seen: Seen, folder: Path) -> list[str]:
    """Return the files that were written beside the spool's."""
    elsewhere = sorted(path for path in seen.written if not path.startswith(str(folder / "spool")))
    return elsewhere + [str(path) for path in (folder / "tmp").rglob("*")]


def soak(server: Server, seconds: float, rate: float) -> Seen:
    """Return what was seen from the first requests to the last."""
    process, seen, started = psutil.Process(server.process.pid), Seen(), time.monotonic()
    end = started + seconds
    # Once, so that the spool's files are open and every library is loaded.
    ask_on(server, good_requests(random.Random(9)), Counter(), 20, started + 5)
    watch(process, seen, started)
    good = [(good_requests(random.Random(number)), seen.statuses["good"]) for number in range(2)]
    bad = [(bad_requests(random.Random(number)), seen.statuses["bad"]) for number in range(2)]
    threads = [threading.Thread(target=ask_on, args=(server, *which, rate / 4, end)) for which in (*good, *bad)]
    threads.append(threading.Thread(target=trouble_on, args=(server, rate / 10, end)))
    for thread in threads:
        thread.start()
    while time.monotonic() < end:
        time.sleep(SAMPLE_SECONDS)
        watch(process, seen, started)
    for thread in threads:
        thread.join()
    return seen
