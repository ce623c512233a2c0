"""What the routes share: the classifier once it is loaded, the worker threads, the metrics, and readiness."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from classifier_inference.engine.memory import Memory, measure_limit
from classifier_inference.engine.pool import Pool
from classifier_inference.http.api_keys import ApiKeys
from classifier_inference.log.log_collector import LogCollector
from classifier_inference.log.logger import PredictionLogger
from classifier_inference.log.open_log import TrackingSettings
from classifier_inference.model.loaded_classifier import LoadedClassifier
from classifier_inference.spec.classifier import Classifier
from classifier_inference.stores.named_images import RemoteImages
from classifier_inference.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from classifier_inference.http.spans import Spans


@dataclass(frozen=True)
class Fetcher:
    """Brings images from elsewhere, on threads of its own: who answers slowly keeps no other request waiting."""

    images: RemoteImages
    pool: Pool


@dataclass
class Serving:
    """One server's state; changed on the event loop alone."""

    classifier: Classifier
    """What is asked for."""
    pool: Pool
    memory: Memory
    new_request_id: Callable[[], str]
    image_root: Path | None = None
    fetcher: Fetcher | None = None
    """What brings images from elsewhere; None where no address is allowed."""
    log: PredictionLogger | None = None
    """What logs predictions; None where they aren't to be logged."""
    tracking: TrackingSettings | None = None
    """Where runs are; None where there is no tracking."""
    api_keys: ApiKeys | None = None
    """What opens it; None where no key is asked for."""
    spans: "Spans | None" = None
    """What exports spans; None where no endpoint is named for them."""
    metrics: Metrics = field(default_factory=Metrics)
    loaded: LoadedClassifier | None = None
    """What is served; None while it is being loaded."""
    last_answer: float = 0
    """When an image was answered last, in seconds since 1970; 0 before the first."""
    draining: bool = False
    """Whether the end has been asked for: requests are still answered, and no new ones are wanted."""

    def __post_init__(self) -> None:
        self.metrics.queue_length.set_function(lambda: self.pool.waiting)
        self.metrics.memory.set_function(lambda: self.memory.used)
        self.metrics.memory_limit.set_function(lambda: self.memory.limit)
        self.metrics.ready.set_function(lambda: self.is_ready)
        if self.log is not None:
            self.metrics.registry.register(LogCollector(self.log.spool))

    @property
    def is_ready(self) -> bool:
        """Whether new requests should be sent here."""
        has_keys = self.api_keys is None or self.api_keys.any
        return self.loaded is not None and not self.draining and has_keys

    def finish_loading(self, loaded: LoadedClassifier) -> None:
        """Begin to answer, in the memory that is left."""
        self.memory.limit = measure_limit(self.classifier.spec.limits.memory)
        self.loaded = loaded
        self.metrics.model_load.set(loaded.load_seconds)
        self.metrics.model_info.labels(
            loaded.name, loaded.spec.model.version, loaded.sha256, loaded.model.provider
        ).set(1)
