"""Load for one server on this machine: at a constant rate, whatever it answers, or from a number of clients that wait.

    python -m tests.benchmarks.serving.load http://127.0.0.1:9000 models/photos/cat.jpg --rate 100 --seconds 10
    python -m tests.benchmarks.serving.load http://127.0.0.1:9000 models/photos/cat.jpg --clients 64 --seconds 10

Over bare sockets: a client that takes a millisecond an answer would be what is measured.
"""

import argparse
import asyncio
import itertools
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

SILENCE_SECONDS = 60.0
FAILED = 0
"""The status of what got no answer."""


@dataclass
class Measured:
    """What was asked and answered in a while."""

    seconds: float
    """Until the last answer."""
    latencies: dict[int, list[float]] = field(default_factory=dict)
    """Seconds from when each request was due, by status."""

    @property
    def counts(self) -> Counter[int]:
        """How many requests there were, by status."""
        return Counter({status: len(times) for status, times in self.latencies.items()})

    @property
    def throughput(self) -> float:
        """Requests a second that were answered with 200."""
        return self.counts[200] / self.seconds

    def milliseconds(self, share: float, status: int = 200) -> float:
        """Return the time within which that share of a status's requests was answered."""
        times = sorted(self.latencies.get(status, []))
        return 1000 * times[min(len(times) - 1, int(share * len(times)))] if times else float("nan")

    def note(self, status: int, seconds: float) -> None:
        """Count a request."""
        self.latencies.setdefault(status, []).append(seconds)


class Target:
    """Requests to one route of one server, and the connections to it that are free."""

    def __init__(
        self,
        url: str,
        path: str,
        *contents: bytes,
        content_type: str | None = None,
        silence_seconds: float = SILENCE_SECONDS,
    ) -> None:
        """Post each of the contents in turn, or get where there is none; wait that long for each answer."""
        self._silence_seconds = silence_seconds
        parsed = urlsplit(url)
        self._address = parsed.hostname or "127.0.0.1", parsed.port or 80
        head = f"{'POST' if contents else 'GET'} {path} HTTP/1.1\r\nHost: {parsed.netloc}\r\n"
        if content_type is not None:
            head += f"Content-Type: {content_type}\r\n"
        requests = [f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body for body in contents or (b"",)]
        self._requests = itertools.cycle(requests)
        self._free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def ask(self) -> int:
        """Return the status of one answer, over a connection that is kept where the server keeps it."""
        try:
            async with asyncio.timeout(self._silence_seconds):
                return await self._ask()
        except (OSError, EOFError, TimeoutError):
            return FAILED

    async def _ask(self) -> int:
        while self._free:
            reader, writer = self._free.pop()
            # One that the server has closed meanwhile says so only now.
            if not reader.at_eof() and not writer.is_closing():
                break
            writer.close()
        else:
            reader, writer = await asyncio.open_connection(*self._address)
        try:
            writer.write(next(self._requests))
            head = await reader.readuntil(b"\r\n\r\n")
            lines = head.decode().lower().split("\r\n")
            headers = dict(line.split(": ", 1) for line in lines[1:] if line)
            await reader.readexactly(int(headers.get("content-length", 0)))
        except BaseException:
            writer.close()
            raise
        if headers.get("connection") == "close":
            writer.close()
        else:
            self._free.append((reader, writer))
        return int(lines[0].split()[1])

    async def close(self) -> None:
        """Close what is free."""
        for _, writer in self._free:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()
        self._free.clear()


async def ask_at_rate(target: Target, rate: float, seconds: float) -> Measured:
    """Ask that often a second, whether or not what was asked before has been answered; wait for all answers."""
    measured = Measured(seconds)
    began = time.perf_counter()

    async def ask(due: float) -> None:
        status = await target.ask()
        measured.note(status, time.perf_counter() - due)

    async with asyncio.TaskGroup() as asked:
        for number in range(int(rate * seconds)):
            due = began + number / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            asked.create_task(ask(due))
    measured.seconds = time.perf_counter() - began
    await target.close()
    return measured


async def ask_from_clients(target: Target, clients: int, seconds: float) -> Measured:
    """Have each client ask again as soon as it has its answer."""
    measured = Measured(seconds)
    began = time.perf_counter()
    end = began + seconds

    async def ask() -> None:
        while (asked := time.perf_counter()) < end:
            measured.note(await target.ask(), time.perf_counter() - asked)

    async with asyncio.TaskGroup() as asked:
        for _ in range(clients):
            asked.create_task(ask())
    measured.seconds = time.perf_counter() - began
    await target.close()
    return measured


async def ask_every(target: Target, interval: float, until: Coroutine[object, object, object]) -> Measured:
    """Ask one at a time, that many seconds apart, until something ends: best in another process, or it delays this."""
    ended = asyncio.create_task(until)
    began = time.perf_counter()
    measured = Measured(0)
    while not ended.done():
        asked = time.perf_counter()
        measured.note(await target.ask(), time.perf_counter() - asked)
        await asyncio.sleep(interval)
    await ended
    measured.seconds = time.perf_counter() - began
    await target.close()
    return measured


async def load_from_process(url: str, images: Sequence[Path], clients: int, seconds: float) -> None:
    """Have a process of its own ask from that many clients. Raises RuntimeError where it fails."""
    command = [sys.executable, "-m", __name__, url, *map(str, images), f"--clients={clients}", f"--seconds={seconds}"]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.DEVNULL)
    if await process.wait():
        raise RuntimeError(f"{command} failed")


def describe(measured: Measured) -> dict[str, object]:
    """Return what was measured, to be printed."""
    return {
        "answers_per_second": round(measured.throughput, 1),
        **{
            str(status): {
                "count": count,
                **{f"p{share}_ms": round(measured.milliseconds(share / 100, status), 1) for share in (50, 95, 99)},
            }
            for status, count in sorted(measured.counts.items())
        },
    }


def main(write: Callable[[str], None] = print) -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("images", type=Path, nargs="+")
    parser.add_argument("--path", default="/api/v1/predict")
    parser.add_argument("--seconds", type=float, default=10)
    how = parser.add_mutually_exclusive_group(required=True)
    how.add_argument("--rate", type=float)
    how.add_argument("--clients", type=int)
    given = parser.parse_args()
    target = Target(given.url, given.path, *(image.read_bytes() for image in given.images))
    if given.rate:
        load = ask_at_rate(target, given.rate, given.seconds)
    else:
        load = ask_from_clients(target, given.clients, given.seconds)
    write(json.dumps(describe(asyncio.run(load)), indent=2))


if __name__ == "__main__":
    main()
