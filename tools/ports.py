"""Ports of this machine."""

import socket


def is_free(port: int) -> bool:
    """Say whether a server can take the port on 127.0.0.1."""
    with socket.socket() as probe:
        # As servers do: a connection that has ended keeps no port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
