"""What the operator tells Prometheus."""

from prometheus_client import Counter, Gauge, Histogram

RECONCILES = Counter("imageclassifier_reconciles", "Reconciles of an object, by result.", ["result"])
RECONCILE_SECONDS = Histogram(
    "imageclassifier_reconcile_duration_seconds",
    "How long a reconcile took.",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
QUEUED = Gauge("imageclassifier_queued_objects", "Objects that wait for a reconcile.")
WRITES = Counter("imageclassifier_writes", "Writes to the API server, by kind and verb.", ["kind", "verb"])
OBJECTS = Gauge("imageclassifier_objects", "Objects by the status of their Ready condition.", ["ready"])
for _result in ("success", "error"):
    RECONCILES.labels(_result)
