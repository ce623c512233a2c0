"""Half an hour of damaged images."""

import time
from collections.abc import Iterator
from pathlib import Path

from tests.integration.server.process import Server
from tests.mutant_load import EXPECTED, SPEC, send_mutants
from tests.mutants import make_mutants
from tests.tiny_model import write_document

MIB = 2**20
MINUTES = 30
SEED = 2
SAMPLE_EVERY = 5000
GROWN_MIB = 64


def take_for(seconds: float, mutants: Iterator[bytes]) -> Iterator[bytes]:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        yield next(mutants)


def test_half_an_hour_of_damaged_images_each_has_an_answer_and_none_harms_the_server(
    tmp_path: Path, figures: dict[str, str]
) -> None:
    server = Server(write_document(tmp_path, **SPEC)).wait_until_ready()
    try:
        outcome = send_mutants(server, take_for(MINUTES * 60, make_mutants(SEED)), SAMPLE_EVERY)
    finally:
        server.kill()
    resident = [size / MIB for size in outcome.resident]
    figures["mutants"] = str(outcome.statuses.total())
    figures["answers"] = ", ".join(f"{count} {status}" for status, count in sorted(outcome.statuses.items()))
    figures["resident"] = f"{resident[0]:.0f} MiB at first, {max(resident):.0f} at most, {resident[-1]:.0f} at the end"
    assert not outcome.unexpected, outcome.unexpected[0].hex()
    assert outcome.statuses.keys() <= EXPECTED
    # By the second look every decoder has been used.
    assert resident[-1] - resident[1] < GROWN_MIB
