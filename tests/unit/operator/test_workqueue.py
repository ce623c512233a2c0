"""The queue: one task a key at a time, nothing lost, failures come back."""

import asyncio
from contextlib import suppress
from itertools import pairwise

import pytest

from classifier_operator import workqueue
from classifier_operator.key import Key
from classifier_operator.workqueue import WorkQueue

A, B = Key("ns", "a"), Key("ns", "b")


async def run_until(queue: WorkQueue, done: asyncio.Event, workers: int = 2) -> None:
    tasks = [asyncio.create_task(queue.run()) for _ in range(workers)]
    try:
        async with asyncio.timeout(10):
            await done.wait()
    finally:
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def test_triggers_that_come_while_a_key_is_worked_on_fold_into_one_more_round() -> None:
    rounds: list[Key] = []
    busy = 0
    done = asyncio.Event()

    async def work(key: Key) -> None:
        nonlocal busy
        busy += 1
        assert busy == 1, "two tasks work on one key"
        rounds.append(key)
        if len(rounds) == 1:
            for _ in range(5):
                queue.add(A)
        else:
            done.set()
        await asyncio.sleep(0)
        busy -= 1

    queue = WorkQueue(work)
    queue.add(A)
    queue.add(A)
    await run_until(queue, done)
    assert rounds == [A, A]


async def test_keys_are_worked_on_beside_each_other() -> None:
    both = asyncio.Barrier(2)
    done = asyncio.Event()

    async def work(_key: Key) -> None:
        await both.wait()
        done.set()

    queue = WorkQueue(work)
    queue.add(A)
    queue.add(B)
    await run_until(queue, done)


async def test_a_failure_comes_back_with_growing_delay_and_holds_up_no_other_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(workqueue, "FIRST_DELAY", 0.01)
    moments: list[float] = []
    seen: list[Key] = []
    done = asyncio.Event()

    async def work(key: Key) -> None:
        seen.append(key)
        if key == B:
            return
        moments.append(asyncio.get_running_loop().time())
        if len(moments) < 4:
            raise RuntimeError("the API server is away")
        done.set()

    queue = WorkQueue(work)
    queue.add(A)
    queue.add(B)
    await run_until(queue, done, workers=1)
    gaps = [later - earlier for earlier, later in pairwise(moments)]
    assert all(gap > 0.0099 * 2**number for number, gap in enumerate(gaps)), gaps
    assert seen[1] == B


async def test_work_that_asks_to_come_back_does() -> None:
    rounds = 0
    done = asyncio.Event()

    async def work(_key: Key) -> float | None:
        nonlocal rounds
        rounds += 1
        if rounds == 1:
            return 0.01
        done.set()
        return None

    queue = WorkQueue(work)
    queue.add(A)
    await run_until(queue, done)
    assert rounds == 2


async def test_triggers_from_outside_do_not_make_a_key_come_back_more_often() -> None:
    rounds = 0
    done = asyncio.Event()

    async def work(_key: Key) -> float | None:
        nonlocal rounds
        rounds += 1
        if rounds == 5:
            asyncio.get_running_loop().call_later(0.2, done.set)
        return 0.05 if rounds < 6 else None

    queue = WorkQueue(work)
    loop = asyncio.get_running_loop()
    queue.add(A)
    for number in range(1, 5):
        loop.call_later(number * 0.01, queue.add, A)
    await run_until(queue, done)
    assert rounds == 6, "each trigger left a timer behind"
