"""Serves its own folder behind HTTPS: what isn't there is 404, and /alternating.onnx is another file each time.

Posted to, it is an admission webhook that adds a variable to a Deployment.
"""

import base64
import http.server
import itertools
import json
import ssl
from functools import partial
from pathlib import Path

FOLDER = Path(__file__).parent
ALTERNATING = itertools.cycle(["/model.onnx", "/other.onnx"])
VARIABLE = {"name": "RIVAL", "value": "1"}


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves files."""

    def do_GET(self) -> None:
        if self.path == "/alternating.onnx":
            self.path = next(ALTERNATING)
        super().do_GET()

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["request"]
        present = request["object"]["spec"]["template"]["spec"]["containers"][0]["env"]
        answer = {"uid": request["uid"], "allowed": True}
        if VARIABLE not in present:
            patch = [{"op": "add", "path": "/spec/template/spec/containers/0/env/-", "value": VARIABLE}]
            answer |= {"patchType": "JSONPatch", "patch": base64.b64encode(json.dumps(patch).encode()).decode()}
        review = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": answer}
        content = json.dumps(review).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


if __name__ == "__main__":
    server = http.server.ThreadingHTTPServer(("", 8443), partial(Handler, directory=str(FOLDER)))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(FOLDER / "tls.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.serve_forever()
