"""What Prometheus is told of the log."""

from datetime import UTC, datetime
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest

from classifier_inference.log.log_collector import NAMES, LogCollector
from classifier_inference.log.recorder.recorder_state import Backlog, RecorderState, Shipped, write_state
from classifier_inference.log.spool.spool import Spool


def test_the_metrics_are_those_that_are_documented(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "pod-1", 2**20, 60)
    registry = CollectorRegistry()
    registry.register(LogCollector(spool))
    assert "classifier_log_backlog" not in generate_latest(registry).decode()
    backlog = Backlog(windows=2, bytes=10, oldest=datetime(2026, 1, 1, tzinfo=UTC))
    write_state(spool.folder, RecorderState(time=datetime.now(UTC), backlog=backlog, shipped=Shipped(records=7)))
    assert not spool.reserve_image(2**20)
    text = generate_latest(registry).decode()
    assert {line.split()[0].partition("{")[0] for line in text.splitlines() if line[0] != "#"} == {
        name.partition("{")[0] for name in NAMES
    }
    assert 'classifier_log_images_total{outcome="dropped"} 1.0' in text
    assert "classifier_log_shipped_records_total 7.0" in text
    assert "classifier_log_backlog_windows 2.0" in text
    assert spool.close(10)
