"""Damaged images of every format: each has an answer, and none harms the server.

`make faults PART=mutants` sends more of them.
"""

from itertools import islice

import pytest

from tests.integration.server.conftest import Start
from tests.integration.server.process import Server
from tests.mutant_load import EXPECTED, SPEC, send_mutants
from tests.mutants import make_corpus, make_mutants

SEED = 1
MUTANTS = 1500
WARM_UP = 500
"""Mutants after which memory is looked at: by then every decoder has been used."""
MIB = 2**20


@pytest.fixture
def mutated(start: Start) -> Server:
    return start(**SPEC).wait_until_ready()


def test_the_corpus_itself_is_classified(mutated: Server) -> None:
    outcome = send_mutants(mutated, make_corpus().values(), 100)
    assert outcome.statuses == {200: len(make_corpus())}


def test_no_mutant_harms_the_server(mutated: Server) -> None:
    outcome = send_mutants(mutated, islice(make_mutants(SEED), MUTANTS), WARM_UP)
    assert not outcome.unexpected, outcome.unexpected[0].hex()
    assert outcome.statuses.keys() <= EXPECTED
    assert min(outcome.statuses[200], outcome.statuses[400]) > MUTANTS / 10
    assert outcome.resident[-1] - outcome.resident[1] < 48 * MIB
