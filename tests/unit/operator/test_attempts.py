"""What is undone or refused is sent ever more rarely, and what is new at once."""

import copy
from typing import Any, cast

import pytest

from classifier_operator.api_errors import ClusterError, ConflictError
from classifier_operator.attempts import (
    CONTESTED_AFTER,
    FIRST_SECONDS,
    LONGEST_REFUSED_SECONDS,
    LONGEST_SECONDS,
    Attempts,
)
from classifier_operator.cluster import Cluster
from classifier_operator.key import Key
from classifier_operator.mend import Mender
from classifier_operator.names import FIRST_SLOT
from classifier_operator.reasons import ObstacleError
from classifier_operator.resources.service import build_service
from tests.unit.operator.objects import classifier_of

CLASSIFIER = classifier_of()
IDENTITY = CLASSIFIER.identity
KEY = Key(IDENTITY.namespace, IDENTITY.name)
WANTED = build_service(CLASSIFIER, FIRST_SLOT)
HOUR = 3600.0


class Api:
    """Takes what is applied, or refuses it; counts both. Time is its own."""

    def __init__(self) -> None:
        self.now = 100.0
        self.sent: list[float] = []
        self.error: ClusterError | None = None

    async def apply(self, manifest: dict[str, Any]) -> dict[str, Any]:
        self.sent.append(self.now)
        if self.error is not None:
            raise self.error
        return copy.deepcopy(manifest)


class ApiThatKeepsWhatNobodyOwns(Api):
    """Leaves a second port where it is, as an API server does that a webhook once added, until it is replaced."""

    async def apply(self, manifest: dict[str, Any]) -> dict[str, Any]:
        live = await super().apply(manifest)
        live["spec"]["ports"].append({"port": 81})
        live["metadata"]["resourceVersion"] = "7"
        return live

    async def patch(self, live: dict[str, Any], operations: list[dict[str, Any]]) -> dict[str, Any]:
        (_, replacement) = operations
        assert replacement["path"] == "/spec/ports"
        return live | {"spec": live["spec"] | {"ports": replacement["value"]}}


async def test_what_an_apply_does_not_take_away_is_replaced() -> None:
    api = ApiThatKeepsWhatNobodyOwns()
    mended = await Mender(cast("Cluster", api), Attempts(lambda: api.now)).mend(IDENTITY, WANTED, edited())
    assert mended["spec"] == WANTED["spec"]


@pytest.fixture
def api() -> Api:
    return Api()


@pytest.fixture
def attempts(api: Api) -> Attempts:
    return Attempts(lambda: api.now)


@pytest.fixture
def mender(api: Api, attempts: Attempts) -> Mender:
    return Mender(cast("Cluster", api), attempts)


def edited(**labels: str) -> dict[str, Any]:
    live = copy.deepcopy(WANTED)
    live["spec"]["ports"][0]["port"] = 81
    live["metadata"]["labels"] |= labels
    return live


async def fight(api: Api, attempts: Attempts, mender: Mender, seconds: float) -> None:
    """Undo every mend at once, and let the operator come back when it asks to."""
    end = api.now + seconds
    while api.now < end:
        await mender.mend(IDENTITY, WANTED, edited())
        api.now += attempts.take_wait(KEY) or 0.0


async def test_an_edit_is_mended_at_once_and_asks_for_nothing_more(
    api: Api, attempts: Attempts, mender: Mender
) -> None:
    assert await mender.mend(IDENTITY, WANTED, edited()) == WANTED
    assert len(api.sent) == 1
    assert attempts.take_wait(KEY) is None
    assert attempts.list_contested(KEY) == []


async def test_what_somebody_undoes_each_time_is_mended_ever_more_rarely_and_told(
    api: Api, attempts: Attempts, mender: Mender
) -> None:
    await fight(api, attempts, mender, HOUR)
    gaps = [later - earlier for earlier, later in zip(api.sent, api.sent[1:], strict=False)]
    assert gaps == sorted(gaps)
    assert max(gaps) == pytest.approx(LONGEST_SECONDS)
    assert len(api.sent) < 20
    (said,) = attempts.list_contested(KEY)
    assert "changing spec.ports.0.port of the Service photos" in said
    assert attempts.list_contested(KEY, "photos") == [said]
    assert attempts.list_contested(KEY, "other") == []


async def test_other_triggers_meanwhile_send_nothing(api: Api, attempts: Attempts, mender: Mender) -> None:
    for _ in range(50):
        await mender.mend(IDENTITY, WANTED, edited())
    assert await mender.mend(IDENTITY, WANTED, edited()) == edited()
    assert len(api.sent) == CONTESTED_AFTER
    assert attempts.take_wait(KEY) == pytest.approx(FIRST_SECONDS)
    assert attempts.take_wait(KEY) is None


async def test_another_edit_and_another_wish_wait_for_nothing(api: Api, attempts: Attempts, mender: Mender) -> None:
    await fight(api, attempts, mender, HOUR)
    before = len(api.sent)
    await mender.mend(IDENTITY, WANTED, edited(**{"app.kubernetes.io/name": "mine"}))
    other = copy.deepcopy(WANTED)
    other["spec"]["ports"][0]["targetPort"] = "elsewhere"
    await mender.mend(IDENTITY, other, edited())
    assert len(api.sent) == before + 2


async def test_a_fight_that_ended_is_forgotten(api: Api, attempts: Attempts, mender: Mender) -> None:
    for _ in range(CONTESTED_AFTER):
        await mender.mend(IDENTITY, WANTED, edited())
        api.now += 2
    assert attempts.list_contested(KEY)
    api.now += 61
    assert attempts.list_contested(KEY) == []
    for _ in range(2):
        await mender.mend(IDENTITY, WANTED, edited())
    assert len(api.sent) == CONTESTED_AFTER + 2


async def test_a_child_that_vanishes_each_time_is_named_rather_than_made_without_end(
    api: Api, attempts: Attempts, mender: Mender
) -> None:
    for _ in range(CONTESTED_AFTER):
        await mender.mend(IDENTITY, WANTED, None)
    with pytest.raises(ObstacleError) as caught:
        await mender.mend(IDENTITY, WANTED, None)
    assert caught.value.problem.reason == "Contested"
    assert "goes on deleting the Service photos" in caught.value.problem.message
    assert attempts.take_wait(KEY) is not None
    assert len(api.sent) == CONTESTED_AFTER


@pytest.mark.parametrize("message", ["exceeded quota", "failed calling webhook", "Request entity too large"])
async def test_what_the_api_server_refuses_is_named_in_its_words_and_tried_ever_more_rarely(
    api: Api, attempts: Attempts, mender: Mender, message: str
) -> None:
    api.error = ClusterError(message)
    end = api.now + HOUR
    while api.now < end:
        with pytest.raises(ObstacleError) as caught:
            await mender.mend(IDENTITY, WANTED, None)
        assert caught.value.problem.reason == "ChildRefused"
        assert caught.value.problem.message == f"Service photos: {message}"
        wait = attempts.take_wait(KEY)
        assert wait is not None
        assert wait <= LONGEST_REFUSED_SECONDS
        api.now += wait
    assert len(api.sent) < HOUR / LONGEST_REFUSED_SECONDS + 20
    api.error = None
    await mender.mend(IDENTITY, WANTED, None)


async def test_a_child_that_changed_meanwhile_is_no_refusal(api: Api, attempts: Attempts, mender: Mender) -> None:
    api.error = ConflictError("modified")
    with pytest.raises(ConflictError):
        await mender.mend(IDENTITY, WANTED, None)
    assert attempts.take_wait(KEY) is None


async def test_nothing_is_kept_of_an_object_that_is_gone(api: Api, attempts: Attempts, mender: Mender) -> None:
    await fight(api, attempts, mender, 10)
    await mender.mend(IDENTITY, WANTED, edited())
    attempts.forget(KEY)
    assert attempts.take_wait(KEY) is None
    assert attempts.list_contested(KEY) == []
