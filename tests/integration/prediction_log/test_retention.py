"""Old runs and their objects go; what is left of them in MLflow's database is `mlflow gc`'s."""

import time

import pytest

from tests.integration.prediction_log.conftest import Recording
from tests.integration.prediction_log.stores import wait_until
from tests.integration.prediction_log.windows import make_record, write_window

DAY = 86_400_000


@pytest.mark.parametrize("kind", ["recording", "proxied"])
def test_runs_older_than_retention_go_with_what_they_hold(request: pytest.FixtureRequest, kind: str) -> None:
    recording: Recording = request.getfixturevalue(kind)
    now = int(time.time() * 1000)
    kept = write_window(recording.own, now - DAY)
    old = [write_window(recording.own, now - 3 * DAY - 60_000 * number) for number in range(3)]
    foreign = write_window(recording.own, now - 9 * DAY, [make_record(now - 9 * DAY, classifier="letters")])
    recorder = recording.start()
    recording.wait_until_shipped()
    recorder.kill()
    gone = [run for run in recording.runs() if run.tags["imageclassifier.window"] in {window.id for window in old}]
    recording.start(retention="2d").wait_for('"event": "deleted old runs"')
    assert {run.tags["imageclassifier.window"] for run in recording.runs()} == {kept.id, foreign.id}
    assert len(gone) == 3
    for run in gone:
        assert recording.client.list_artifacts(run.run_id) == []
    assert len(recording.keys()) == (4 if kind == "recording" else 0)
    for run in recording.runs():
        assert len(recording.client.list_artifacts(run.run_id)) == 2


def test_gc_takes_deleted_runs_out_of_the_database(recording: Recording) -> None:
    now = int(time.time() * 1000)
    write_window(recording.own, now - 3 * DAY)
    recorder = recording.start()
    recording.wait_until_shipped()
    recorder.kill()
    (run,) = recording.runs()
    recording.start(retention="2d").wait_for('"event": "deleted old runs"')
    assert recording.client.get_run(run.run_id) is not None
    recording.collect_garbage()
    wait_until(lambda: recording.client.get_run(run.run_id) is None, "the run to be gone")
