"""An OpenTelemetry collector: takes spans over OTLP's HTTP, and lets tests wait for them."""

import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.integration.server.process import WAIT_SECONDS

SERVER = Span.SPAN_KIND_SERVER


class Collector:
    """Answers with `status`; while `open` is cleared it takes what is sent and doesn't answer."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.status = 200
        self.open = threading.Event()
        self.open.set()
        self.asked = threading.Event()
        self.bodies: list[bytes] = []
        self.spans: list[Span] = []
        """All that have come."""
        self.resource: dict[str, Any] = {}
        self._arrived: queue.Queue[list[Span]] = queue.Queue()

    def take(self, body: bytes) -> None:
        """Decode what was exported."""
        self.bodies.append(body)
        for of_resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            self.resource = read_attributes(of_resource.resource.attributes)
            for of_scope in of_resource.scope_spans:
                self._arrived.put(list(of_scope.spans))

    def wait_for(self, request_id: str) -> list[Span]:
        """Return a request's span, and then those of its stages as they began."""
        while True:
            for span in self.spans:
                if read_attributes(span.attributes).get("classifier.request_id") == request_id:
                    stages = [stage for stage in self.spans if stage.parent_span_id == span.span_id]
                    return [span, *sorted(stages, key=lambda stage: stage.start_time_unix_nano)]
            self.spans += self._arrived.get(timeout=WAIT_SECONDS)


def read_attributes(pairs: "Iterator[KeyValue] | Any") -> dict[str, Any]:
    return {pair.key: _read_value(pair.value) for pair in pairs}


def _read_value(value: AnyValue) -> Any:
    return getattr(value, str(value.WhichOneof("value")))


@contextmanager
def collecting() -> Iterator[Collector]:
    """Run a collector on a free port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            collector.asked.set()
            collector.open.wait(WAIT_SECONDS)
            if collector.status == 200 and self.path == "/v1/traces":
                collector.take(body)
            self.send_response(collector.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listener:
        listener.daemon_threads = True
        collector = Collector(listener.server_address[1])
        thread = threading.Thread(target=listener.serve_forever)
        thread.start()
        yield collector
        collector.open.set()
        listener.shutdown()
        thread.join()
