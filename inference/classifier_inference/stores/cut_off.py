"""Cuts connections that give too little for too long."""

import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any


class Line:
    """The connection that a request has."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None

    def follow(self, event: str, info: Mapping[str, Any]) -> None:
        """Note the connection that the client has made; it calls this."""
        if event == "connection.connect_tcp.complete":
            made = info["return_value"].get_extra_info("socket")
            with self._lock:
                # A descriptor of our own: TLS takes the client's away.
                self._socket = made.dup()

    def cut(self) -> None:
        """Have whoever reads from it read no more."""
        with self._lock:
            if self._socket is not None:
                self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Forget it."""
        with self._lock:
            if self._socket is not None:
                self._socket.close()
            self._socket = None


@contextmanager
def cutting(deadline: float, cut: Callable[[], None]) -> Iterator[None]:
    """Cut a connection at the deadline: clients' own timeouts begin anew with every byte that comes."""

    def cut_what_is_left() -> None:
        with suppress(OSError, ValueError, RuntimeError):  # closed at the last moment
            cut()

    timer = threading.Timer(max(0.0, deadline - time.monotonic()), cut_what_is_left)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
