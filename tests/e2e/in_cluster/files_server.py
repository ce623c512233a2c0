"""Serves its own folder behind HTTPS: what isn't there is 404, and /alternating.onnx is another file each time."""

import http.server
import itertools
import ssl
from functools import partial
from pathlib import Path

FOLDER = Path(__file__).parent
ALTERNATING = itertools.cycle(["/model.onnx", "/other.onnx"])


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves files."""

    def do_GET(self) -> None:
        if self.path == "/alternating.onnx":
            self.path = next(ALTERNATING)
        super().do_GET()


if __name__ == "__main__":
    server = http.server.ThreadingHTTPServer(("", 8443), partial(Handler, directory=str(FOLDER)))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(FOLDER / "tls.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.serve_forever()
