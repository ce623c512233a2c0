"""What Prometheus is told of the prediction log: counts that a restart doesn't reset, read from the spool."""

from collections.abc import Iterator
from time import time

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from classifier_inference.log.recorder.recorder_state import read_state
from classifier_inference.log.spool.spool import Spool

NAMES = (
    "classifier_log_records_total{outcome}",
    "classifier_log_images_total{outcome}",
    "classifier_log_spool_bytes",
    "classifier_log_spool_limit_bytes",
    "classifier_log_backlog_windows",
    "classifier_log_backlog_seconds",
    "classifier_log_shipped_records_total",
)
"""As documentation names them."""


class LogCollector(Collector):
    """The metrics of one server's log."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool

    def describe(self) -> list[CounterMetricFamily]:
        """Return nothing: what there is to say needs no asking beforehand."""
        return []

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        """Yield the metrics."""
        spool, dropped = self._spool, self._spool.counts
        for what, logged, lost in (
            ("records", spool.logged_records, dropped.records),
            ("images", spool.logged_images, dropped.images),
        ):
            family = CounterMetricFamily(
                f"classifier_log_{what}",
                f"Predictions' {what}, by outcome: logged (since the start) or dropped (since the spool was made).",
                labels=["outcome"],
            )
            family.add_metric(["logged"], logged)
            family.add_metric(["dropped"], lost)
            yield family
        yield GaugeMetricFamily("classifier_log_spool_bytes", "Disk that the spool takes.", spool.used_bytes)
        yield GaugeMetricFamily("classifier_log_spool_limit_bytes", "What it may take.", spool.budget_bytes)
        state = read_state(spool.folder)
        if state is None:
            return
        oldest = state.backlog.oldest
        yield GaugeMetricFamily(
            "classifier_log_backlog_windows", "Windows that wait to be shipped.", state.backlog.windows
        )
        yield GaugeMetricFamily(
            "classifier_log_backlog_seconds",
            "Age of the oldest of them.",
            max(0.0, time() - oldest.timestamp()) if oldest else 0,
        )
        yield CounterMetricFamily(
            "classifier_log_shipped_records", "Records that the recorder has shipped.", state.shipped.records
        )
