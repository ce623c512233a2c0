"""Uvicorn's server, whose end is announced before it comes."""

import asyncio
import signal
import socket
import time
from types import FrameType

import structlog
import uvicorn

from classifier_inference.http.lifecycle import Lifecycle

_log = structlog.get_logger("server")


class DrainingServer(uvicorn.Server):
    """Uvicorn, but SIGTERM keeps answering for a while, and both signals end with status 0."""

    def __init__(self, config: uvicorn.Config, lifecycle: Lifecycle, drain_seconds: float) -> None:
        super().__init__(config)
        self._lifecycle = lifecycle
        self._drain_seconds = drain_seconds
        self._exit_at: float | None = None
        self.listening = asyncio.Event()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to drain on SIGTERM, or end: on SIGINT, on a second signal, and while nothing is answered anyway."""
        if sig == signal.SIGTERM and self._lifecycle.is_ready:
            self._lifecycle.draining = True
            self._exit_at = time.monotonic() + self._drain_seconds
            return
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self._lifecycle.draining = True
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Open the port, and say so."""
        await super().startup(sockets)
        self.listening.set()
        _log.info("listening", host=self.config.host, port=self.config.port)

    async def on_tick(self, counter: int) -> bool:
        """Return whether to end now; Uvicorn asks ten times a second."""
        if self._exit_at is not None and time.monotonic() >= self._exit_at:
            self.should_exit = True
        return await super().on_tick(counter)
