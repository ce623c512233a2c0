"""What Prometheus is told."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

_BUCKETS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)
"""Seconds: a prediction takes milliseconds."""

STAGES = ("read", "queue", "decode", "infer", "total")

_PIXELS = (1e4, 5e4, 1e5, 5e5, 1e6, 2e6, 5e6, 1e7, 2e7, 5e7)
_CONFIDENCES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1)

CLASSES = 1000
"""Classes that are counted under their own labels, so that no model makes more series than Prometheus likes."""
OTHER = "other"
"""What the rest is counted under."""
NONE = "none"
"""What answers without a class are counted under."""

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
        self.memory = Gauge(
            "classifier_memory_bytes",
            "What bodies and pixels in flight take.",
            registry=self.registry,
        )
        self.memory_limit = Gauge(
            "classifier_memory_limit_bytes", "What they may take: limits.memory.", registry=self.registry
        )
        self.predictions = Counter(
            "classifier_predictions",
            "Answered images by their best class: the model's first 1000 labels, other, or none.",
            ["label"],
            registry=self.registry,
        )
        self.confidence = Histogram(
            "classifier_confidence",
            "How sure the model was of the best class, from 0 to 1.",
            buckets=_CONFIDENCES,
            registry=self.registry,
        )
        self.images = Counter(
            "classifier_images", "Answered images by what they came as.", ["format"], registry=self.registry
        )
        self.pixels = Histogram(
            "classifier_image_pixels", "Answered images' width times height.", buckets=_PIXELS, registry=self.registry
        )
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
        self.last_answer = 0.0
        """When an image was answered last, in seconds since 1970; 0 before the first."""
        self._stages = {stage: self.duration.labels(stage) for stage in STAGES}

    def observe_seconds(self, **stages: float) -> None:
        """Count the seconds that stages took."""
        for stage, seconds in stages.items():
            self._stages[stage].observe(seconds)

    def observe_image(self, image_format: str, size: tuple[int, int]) -> None:
        """Count an answered image of (width, height)."""
        self.images.labels(image_format).inc()
        self.pixels.observe(size[0] * size[1])

    def observe_class(self, label: str, class_id: int, confidence: float) -> None:
        """Count an answer by its best class."""
        self.predictions.labels(label if class_id < CLASSES else OTHER).inc()
        self.confidence.observe(confidence)

    def observe_no_class(self) -> None:
        """Count an answer without a class."""
        self.predictions.labels(NONE).inc()
