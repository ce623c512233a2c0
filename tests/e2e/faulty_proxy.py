"""A proxy before the API server that answers 500, loses answers, and cuts watches."""

import asyncio
import random
import ssl
import threading
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import uvicorn

CUT_AFTER = (0.5, 6)
"""Seconds after which a watch is cut, at least and at most."""

HOP_BY_HOP = {b"host", b"connection", b"content-length", b"transfer-encoding", b"authorization", b"accept-encoding"}


class FaultyProxy:
    """Plain HTTP on a port of 127.0.0.1, in a thread of its own; `failing` is the share of requests that fail."""

    def __init__(self, server: str, tls: ssl.SSLContext) -> None:
        self.failing = 0.0
        self.failed = 0
        self.cut = 0
        self._random = random.Random(4)
        self._upstream = httpx2.AsyncClient(
            base_url=server, verify=tls, timeout=None, limits=httpx2.Limits(), trust_env=False
        )  # fmt: skip
        self._server = uvicorn.Server(
            uvicorn.Config(self._serve, interface="asgi3", port=0, log_level="critical", lifespan="off", ws="none")
        )
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)

    def start(self) -> str:
        """Return the proxy's URL once it answers."""
        self._thread.start()
        while not self._server.started:
            self._thread.join(0.01)
        port = self._server.servers[0].sockets[0].getsockname()[1]
        return f"http://127.0.0.1:{port}"

    def stop(self) -> None:
        self._server.force_exit = self._server.should_exit = True
        self._thread.join()

    async def _run(self) -> None:
        async with self._upstream:
            await self._server.serve()

    async def _serve(self, scope: Any, receive: Any, send: Any) -> None:
        body = await _read(receive)
        fails = self._random.random() < self.failing
        # Half of what fails has been done: only the answer is lost.
        if fails and self._random.random() < 0.5:
            await self._refuse(send)
            return
        path = scope["raw_path"].decode() + "?" + scope["query_string"].decode()
        headers = [(name, value) for name, value in scope["headers"] if name not in HOP_BY_HOP]
        async with self._upstream.stream(scope["method"], path, content=body, headers=headers) as answer:
            if fails:
                await self._refuse(send)
                return
            await _send_head(send, answer)
            if "watch=" in path:
                await self._pass_on_until_cut(send, answer)
            else:
                await _pass_on(send, answer)

    async def _pass_on_until_cut(self, send: Any, answer: httpx2.Response) -> None:
        passing, cutting = asyncio.create_task(_pass_on(send, answer)), asyncio.create_task(self._await_cut())
        await asyncio.wait({passing, cutting}, return_when=asyncio.FIRST_COMPLETED)
        # An answer that is left without its end is closed by uvicorn, as a connection that breaks.
        for task in (passing, cutting):
            task.cancel()
        await asyncio.gather(passing, cutting, return_exceptions=True)

    async def _await_cut(self) -> None:
        while True:
            await asyncio.sleep(self._random.uniform(*CUT_AFTER))
            if self.failing:
                self.cut += 1
                return

    async def _refuse(self, send: Any) -> None:
        self.failed += 1
        await send({"type": "http.response.start", "status": 500, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": "http.response.body", "body": b"the proxy would not"})


async def _pass_on(send: Any, answer: httpx2.Response) -> None:
    async for chunk in answer.aiter_bytes():
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def _read(receive: Any) -> bytes:
    return b"".join([chunk async for chunk in _chunks(receive)])


async def _chunks(receive: Any) -> AsyncIterator[bytes]:
    more = True
    while more:
        message = await receive()
        yield message.get("body", b"")
        more = message.get("more_body", False)


async def _send_head(send: Any, answer: httpx2.Response) -> None:
    kept = [(name, value) for name, value in answer.headers.raw if name.lower() in {b"content-type", b"retry-after"}]
    await send({"type": "http.response.start", "status": answer.status_code, "headers": kept})
