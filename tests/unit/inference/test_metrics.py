"""What the server's metrics tell apart, and what they lump together."""

import pytest

from classifier_inference.telemetry.metrics import STAGES, Metrics


@pytest.mark.parametrize(
    ("class_id", "label"), [(0, "ant"), (999, "ant"), (1000, "other"), (5000, "other"), (None, "none")]
)
def test_classes_beyond_the_first_thousand_are_counted_as_other(class_id: int | None, label: str) -> None:
    metrics = Metrics()
    if class_id is None:
        metrics.observe_no_class()
    else:
        metrics.observe_class("ant", class_id, 0.5)
    counted = {
        sample.labels["label"]: sample.value for family in metrics.predictions.collect() for sample in family.samples
    }
    assert counted == {label: 1}


@pytest.mark.parametrize("stage", STAGES)
def test_buckets_tell_milliseconds_apart(stage: str) -> None:
    metrics = Metrics()
    metrics.observe_seconds(**{stage: 0.003})
    counted = {
        float(sample.labels["le"]): sample.value
        for family in metrics.duration.collect()
        for sample in family.samples
        if sample.name.endswith("_bucket") and sample.labels["stage"] == stage
    }
    assert len([bound for bound in counted if bound <= 0.02]) >= 5
    assert min(bound for bound, count in counted.items() if count) <= 0.005
    assert (max(bound for bound, count in counted.items() if not count)) >= 0.002
