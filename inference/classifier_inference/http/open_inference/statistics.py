"""What a model did since the server started, as the statistics extension of Triton's clients wants it."""

import re

from classifier_inference.spec.classifier import Classifier
from classifier_inference.telemetry.metrics import Metrics


def describe_statistics(classifier: Classifier, metrics: Metrics) -> dict[str, object]:
    """Return a ModelStatistics' content, of what the metrics have counted."""
    stages = _read_stages(metrics)
    total, decode, infer = stages["total"], stages["decode"], stages["infer"]
    failed = sum(
        sample.value
        for metric in metrics.requests.collect()
        for sample in metric.samples
        if sample.name.endswith("_total") and sample.labels["outcome"] in {"refused", "failed"}
    )
    return {
        "name": classifier.name,
        "version": number_version(classifier.spec.model.version),
        "last_inference": round(metrics.last_answer * 1000),
        "inference_count": infer["count"],
        "execution_count": infer["count"],
        "inference_stats": {
            "success": total,
            "fail": {"count": round(failed), "ns": 0},
            "queue": stages["queue"],
            "compute_input": decode,
            "compute_infer": infer,
            "compute_output": {"count": infer["count"], "ns": _find_rest(stages)},
            "cache_hit": {"count": 0, "ns": 0},
            "cache_miss": {"count": 0, "ns": 0},
        },
        "batch_stats": [],
    }


def number_version(version: str) -> str:
    """Return the number that a version begins with; 1 without one.

    Triton's versions are numbers: perf_analyzer reads it (1 of 1.0.0, and ends at v3), then looks for statistics of 1.
    """
    found = re.match(r"\d{1,18}", version, re.ASCII)
    return str(int(found[0])) if found else "1"


def _find_rest(stages: dict[str, dict[str, int]]) -> int:
    """Return the nanoseconds that no other stage took: rendering answers, and having them logged."""
    return max(0, stages["total"]["ns"] - sum(stages[stage]["ns"] for stage in ("read", "queue", "decode", "infer")))


def _read_stages(metrics: Metrics) -> dict[str, dict[str, int]]:
    """Return count and nanoseconds of each stage."""
    stages: dict[str, dict[str, int]] = {}
    for metric in metrics.duration.collect():
        for sample in metric.samples:
            stage = stages.setdefault(sample.labels["stage"], {"count": 0, "ns": 0})
            if sample.name.endswith("_count"):
                stage["count"] = round(sample.value)
            elif sample.name.endswith("_sum"):
                stage["ns"] = round(sample.value * 1e9)
    return stages
