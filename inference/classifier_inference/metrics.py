"""What Prometheus is told."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

_BUCKETS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)
"""Seconds: a prediction takes milliseconds."""

disable_created_metrics()  # type: ignore[no-untyped-call]


class Metrics:
    """The server's metrics, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self.duration = Histogram(
            "classifier_request_duration_seconds",
            "Time a prediction took, by stage: read, queue, decode, infer, total.",
            ["stage"],
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self.requests = Counter(
            "classifier_requests",
            "Prediction requests that have ended, by outcome: answered, refused, failed, abandoned.",
            ["outcome"],
            registry=self.registry,
        )
        self.refusals = Counter(
            "classifier_refusals",
            "Prediction requests that were refused, by the last part of the problem's type.",
            ["reason"],
            registry=self.registry,
        )
        self.in_flight = Gauge(
            "classifier_requests_in_flight", "Prediction requests that are being answered.", registry=self.registry
        )
        self.queue_length = Gauge(
            "classifier_queue_length", "Prediction requests that wait for a worker thread.", registry=self.registry
        )
        self.ready = Gauge("classifier_ready", "1 while /readyz says yes.", registry=self.registry)
        self.model_info = Gauge(
            "classifier_model_info",
            "Always 1; the labels say which model is served, and what runs it.",
            ["name", "version", "sha256", "provider"],
            registry=self.registry,
        )
        self.model_load = Gauge(
            "classifier_model_load_seconds", "Time that loading the model took.", registry=self.registry
        )
        for outcome in ("answered", "refused", "failed", "abandoned"):
            self.requests.labels(outcome)
        for stage in ("read", "queue", "decode", "infer", "total"):
            self.duration.labels(stage)
