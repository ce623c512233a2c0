"""Old runs and their objects go; what is left of them in MLflow's database is `mlflow gc`'s."""

import time

import pytest

from classifier_inference.log.runs.summary import (
    FROM_RECORDER,
    FROM_SERVER,
    TAG_CLASSIFIER,
    TAG_NAMESPACE,
    TAG_SOURCE,
)
from classifier_inference.stores.mlflow_api.run_data import FAILED, Run
from tests.integration.prediction_log.conftest import Recording
from tests.integration.prediction_log.stores import BUCKET, wait_until
from tests.integration.prediction_log.windows import make_record, write_window

DAY = 86_400_000
HOUR = 3_600_000


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


def test_runs_that_a_server_could_not_finish_go_with_what_they_hold(recording: Recording) -> None:
    now = int(time.time() * 1000)
    experiment_id = recording.client.ensure_experiment(recording.experiment)

    def begin(name: str, start_ms: int, **tags: str) -> Run:
        own = {TAG_CLASSIFIER: "colours", TAG_NAMESPACE: "team-a", TAG_SOURCE: FROM_SERVER}
        run = recording.client.create_run(experiment_id, name, start_ms, own | tags)
        recording.s3.put_object(
            Bucket=BUCKET, Key=f"{run.artifact_uri.removeprefix(f's3://{BUCKET}/')}/image", Body=b"x"
        )
        return run

    hour_ago = now - HOUR
    finished, failed = begin("finished", hour_ago), begin("failed", hour_ago)
    begin("running", hour_ago)
    begin("begun now", now)
    begin("another's", hour_ago, **{TAG_CLASSIFIER: "letters"})
    begin("a recorder's", hour_ago, **{TAG_SOURCE: FROM_RECORDER})
    recording.client.end_run(finished.run_id, now)
    recording.client.end_run(failed.run_id, now, FAILED)
    recording.start().wait_for('"event": "deleted runs that were never finished"')
    assert {run.name for run in recording.runs()} == {"finished", "begun now", "another's", "a recorder's"}
    assert len(recording.keys()) == 4


def test_gc_takes_deleted_runs_out_of_the_database(recording: Recording) -> None:
    now = int(time.time() * 1000)
    write_window(recording.own, now - 3 * DAY)
    recorder = recording.start()
    recording.wait_until_shipped()
    recorder.kill()
    (run,) = recording.runs()
    recording.start(retention="2d").wait_for('"event": "deleted old runs"')
    assert recording.client.get_run(run.run_id) is not None
    recording.collect_garbage(run.run_id)
    wait_until(lambda: recording.client.get_run(run.run_id) is None, "the run to be gone")
