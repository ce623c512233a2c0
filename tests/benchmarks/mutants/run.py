"""Sends damaged images to a server for a time and prints what became of them: `--minutes 30 --seed 2`."""

import argparse
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.integration.server.process import Server
from tests.mutant_load import SPEC, send_mutants
from tests.mutants import make_mutants
from tests.tiny_model import write_document

MIB = 2**20


def take_for(seconds: float, mutants: Iterator[bytes]) -> Iterator[bytes]:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        yield next(mutants)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seed", type=int, default=2)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        server = Server(write_document(Path(folder), **SPEC)).wait_until_ready()
        try:
            outcome = send_mutants(server, take_for(asked.minutes * 60, make_mutants(asked.seed)), sample_every=5000)
        finally:
            server.kill()
    resident = [size / MIB for size in outcome.resident]
    print(f"seed {asked.seed}, {outcome.statuses.total()} mutants in {asked.minutes:g} minutes")
    print("answers:", dict(sorted(outcome.statuses.items())))
    print(f"resident: {resident[0]:.0f} MiB at the start, {max(resident):.0f} at most, {resident[-1]:.0f} at the end")
    print("every 5000:", " ".join(f"{size:.0f}" for size in resident))
    for content in outcome.unexpected:
        print("unexpected:", content.hex())


if __name__ == "__main__":
    main()
