"""Ask one ready pod of each object, now and then, how its stores are doing: outside the queue, and never for long."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import httpx2

from classifier_operator.decide.sink_health import Answer, Target, parse_answer
from classifier_operator.key import Key
from classifier_operator.names import HTTP_PORT

PERIOD_SECONDS = 30.0
TIMEOUT_SECONDS = 2.0
MOST_AT_ONCE = 16
_TICK_SECONDS = 1.0


@dataclass
class _Watched:
    target: Target
    due: float
    answer: Answer | None = None


@dataclass
class HealthPoller:
    """Keeps each object's last answer. `tell` is called where one differs from the one before."""

    tell: Callable[[Key], None]
    port: int = HTTP_PORT
    _watched: dict[Key, _Watched] = field(default_factory=dict)

    def watch(self, key: Key, target: Target | None) -> Answer | None:
        """Say which pod is to be asked from now on, or that none is; return the last answer, or that it is pending."""
        if target is None:
            self._watched.pop(key, None)
            return None
        watched = self._watched.get(key)
        if watched is None:
            watched = self._watched[key] = _Watched(target, time.monotonic())
        if watched.target != target:
            watched.target, watched.due = target, time.monotonic()
        return watched.answer or Answer(None, target.pod, pending=True)

    async def run(self) -> None:
        """Ask until cancelled."""
        async with httpx2.AsyncClient(timeout=TIMEOUT_SECONDS, trust_env=False) as client:
            places = asyncio.Semaphore(MOST_AT_ONCE)
            while True:
                now = time.monotonic()
                due = [(key, watched) for key, watched in self._watched.items() if watched.due <= now]
                for _, watched in due:
                    watched.due = now + PERIOD_SECONDS
                await asyncio.gather(*(self._ask(client, places, key, watched) for key, watched in due))
                await asyncio.sleep(_TICK_SECONDS)

    async def _ask(self, client: httpx2.AsyncClient, places: asyncio.Semaphore, key: Key, watched: _Watched) -> None:
        target = watched.target
        async with places:
            answer = await fetch_answer(client, target, self.port)
        if watched.target == target and answer != watched.answer:
            watched.answer = answer
            self.tell(key)


async def fetch_answer(client: httpx2.AsyncClient, target: Target, port: int) -> Answer:
    """Return what a pod says of its stores; no answer within the time is one too."""
    host = f"[{target.address}]" if ":" in target.address else target.address
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            response = await client.get(f"http://{host}:{port}/api/v1/health")
    except (httpx2.HTTPError, TimeoutError):
        return Answer(None, target.pod)
    return parse_answer(target.pod, response.content)
