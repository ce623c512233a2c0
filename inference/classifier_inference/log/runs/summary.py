"""What a window's run says in numbers, params and tags. No I/O."""

import math
from array import array
from collections import Counter
from collections.abc import Mapping, Sequence

from classifier_inference.log.record import Record
from classifier_inference.log.runs.run_files import safe_key
from classifier_inference.spec.classifier import Classifier
from classifier_inference.spec.preprocessing import Preprocess

TAG_CLASSIFIER = "imageclassifier.classifier"
TAG_NAMESPACE = "imageclassifier.namespace"
TAG_POD = "imageclassifier.pod"
TAG_WINDOW = "imageclassifier.window"
TAG_REQUEST = "imageclassifier.request"
"""The tag of a run that holds one prediction."""
TAG_CLIENT_REQUEST = "imageclassifier.client-request"
"""Beside it, where the client brought an id of its own."""
TAG_SOURCE = "mlflow.source.name"
"""Who made the run: MLflow's own tag, which its pages show."""
FROM_RECORDER = "classifier record"
FROM_SERVER = "classifier serve"

MOST_LABELS = 20
"""How many labels the mix names; the rest is `label/other`."""
_CONFIDENCE_QUANTILES = (0.1, 0.5, 0.9)
_LATENCY_QUANTILES = (0.5, 0.9, 0.99)


class Summary:
    """Adds up a window's records; holds two numbers a record, whatever else is in it."""

    def __init__(self) -> None:
        self.images = 0
        self.last_time: str | None = None
        self._confidences = array("f")
        self._latencies = array("f")
        self._labels: Counter[str] = Counter()

    def add(self, record: Record) -> None:
        """Count one more prediction."""
        self.images += record.image_ref is not None
        self.last_time = max(self.last_time or record.time, record.time)
        self._latencies.append(total_milliseconds(record))
        if record.predictions:
            self._confidences.append(record.predictions[0].confidence)
            self._labels[record.predictions[0].label] += 1

    @property
    def count(self) -> int:
        """How many predictions were added."""
        return len(self._latencies)

    def render_metrics(self) -> dict[str, float]:
        """Return MLflow's metrics: counts, confidences from 0 to 1, latencies in ms, each label's share from 0 to 1."""
        return {
            "count": self.count,
            "images": self.images,
            **_describe("confidence", self._confidences, _CONFIDENCE_QUANTILES),
            **_describe("latency_ms", self._latencies, _LATENCY_QUANTILES),
            **self._mix_labels(),
        }

    def _mix_labels(self) -> dict[str, float]:
        mix: Counter[str] = Counter()
        for rank, (label, count) in enumerate(self._labels.most_common()):
            mix[f"label/{safe_key(label)}" if rank < MOST_LABELS else "label/other"] += count
        return {key: count / self._labels.total() for key, count in mix.items()}


def total_milliseconds(record: Record) -> float:
    """Return what was spent on an answer: reading its request, waiting for a thread, decoding and inference."""
    spent = record.milliseconds
    return spent.read + spent.queue + spent.decode + spent.infer


def render_params(first: Record, preprocess: Mapping[str, str]) -> dict[str, str]:
    """Return MLflow's params of a run: which model answered, on what, and what it was given."""
    return {
        "classifier": first.classifier,
        "model_version": first.model.version,
        "model_sha256": first.model.sha256,
        "device": first.device,
        **preprocess,
    }


def render_preprocess(preprocess: Preprocess) -> dict[str, str]:
    """Return the preprocessing as params, defaults written out."""
    resize = preprocess.resize.model_dump(by_alias=True, exclude_none=True)
    crop = preprocess.effective_crop
    values = {
        "resize": " ".join(f"{kind} {_join(value)}" for kind, value in resize.items()),
        "crop": "none" if crop is None else str(crop),
        "interpolation": preprocess.interpolation,
        "channels": preprocess.channels,
        "scale": f"{preprocess.scale:g}",
        "mean": _join(preprocess.effective_mean),
        "std": _join(preprocess.effective_std),
        "layout": preprocess.layout,
        "exif": preprocess.exif,
        "background": preprocess.background,
    }
    return {f"preprocess.{key}": value for key, value in values.items()}


def render_tags(record: Record, window_id: str) -> dict[str, str]:
    """Return the tags that say whose run it is, and of which window."""
    return {
        TAG_CLASSIFIER: record.classifier,
        TAG_NAMESPACE: record.namespace,
        TAG_POD: record.pod,
        TAG_WINDOW: window_id,
        TAG_SOURCE: FROM_RECORDER,
    }


def render_request_tags(request_id: str, client_request_id: str | None) -> dict[str, str]:
    """Return the tags of a run that holds one prediction, by which it is found."""
    own = {} if client_request_id is None else {TAG_CLIENT_REQUEST: client_request_id}
    return {TAG_REQUEST: request_id, **own}


def name_experiment(classifier: Classifier) -> str:
    """Return the name of the experiment that a classifier's runs belong to."""
    return classifier.spec.prediction_log.experiment or classifier.name


def _describe(name: str, values: Sequence[float], quantiles: Sequence[float]) -> dict[str, float]:
    if not values:
        return {}
    ordered = sorted(values)
    places = {f"p{quantile * 100:g}": math.ceil(quantile * len(ordered)) - 1 for quantile in quantiles}
    return {
        f"{name}/mean": math.fsum(ordered) / len(ordered),
        **{f"{name}/{key}": ordered[place] for key, place in places.items()},
    }


def _join(value: object) -> str:
    return ", ".join(f"{part:g}" for part in value) if isinstance(value, list) else str(value)
