"""What a recorder makes of windows, and that each ends in one run whatever happens."""

import io
import random
import subprocess
import tarfile
from collections import Counter

import duckdb
import pandas as pd
import pytest

from tests.integration.prediction_log.conftest import Recording
from tests.integration.prediction_log.windows import IMAGE, make_record, write_window

START = 1_790_000_000_000


def test_a_window_becomes_one_run_with_all_that_is_known_of_it(recording: Recording) -> None:
    records = [make_record(START + 1000 * number, confidence=0.5 + number / 10) for number in range(4)]
    window = write_window(recording.own, START, records)
    recording.start()
    recording.wait_until_shipped()
    (run,) = recording.runs()
    assert (run.status, run.start_ms, run.end_ms) == ("FINISHED", START, START + 3000)
    wanted = {
        "imageclassifier.classifier": "colours",
        "imageclassifier.namespace": "team-a",
        "imageclassifier.pod": "pod-1",
        "imageclassifier.window": window.id,
    }
    assert wanted.items() <= run.tags.items()
    assert run.params["model_version"] == "1"
    assert run.params["model_sha256"] == "0" * 64
    assert run.params["device"] == "cpu"
    assert run.params["preprocess.resize"] == "exact 8, 8"
    assert run.params["preprocess.mean"] == "0, 0, 0"
    assert (run.metrics["count"], run.metrics["images"]) == (4, 4)
    assert run.metrics["confidence/mean"] == pytest.approx(0.65)
    assert run.metrics["confidence/p90"] == pytest.approx(0.8)
    assert run.metrics["latency_ms/p50"] == 6
    assert run.metrics["label/red"] == 1
    state = recording.wait_for_state(lambda state: state.shipped.records == 4)
    assert (state.shipped.windows, state.shipped.images, state.backlog.windows) == (1, 4, 0)
    assert state.tracking.ready
    assert state.storage is not None
    assert state.storage.ready


def test_pandas_and_duckdb_read_a_row_a_prediction_and_find_its_image(recording: Recording) -> None:
    window = write_window(recording.own, START, 5)
    recording.start()
    recording.wait_until_shipped()
    (run,) = recording.runs()
    content = recording.read(f"{run.artifact_uri}/predictions.parquet")
    table = pd.read_parquet(io.BytesIO(content))
    assert list(table.request_id) == window.requests
    first = table.iloc[0]
    assert (first.label, first.class_id, first.confidence, first.image_name) == ("red", 0, 0.75, "cat.jpg")
    assert first.predictions[1]["label"] == "green"
    assert first.time == pd.Timestamp(START, unit="ms", tz="UTC")
    image = recording.read(first.image_key)[first.image_offset :][: first.image_size]
    assert image == IMAGE
    with tarfile.open(fileobj=io.BytesIO(recording.read(first.image_key))) as tar:
        assert tar.getnames() == [f"{request}.png" for request in window.requests]
    path = recording.spool.parent / "predictions.parquet"
    path.write_bytes(content)
    counted = duckdb.read_parquet(str(path)).aggregate("label, count(*), min(predictions[1].confidence)")
    assert counted.fetchall() == [("red", 5, 0.75)]


def test_artifacts_go_through_mlflow_where_the_run_says_so(proxied: Recording) -> None:
    write_window(proxied.own, START, 2)
    proxied.start()
    proxied.wait_until_shipped()
    (run,) = proxied.runs()
    assert run.artifact_uri.startswith("mlflow-artifacts:/")
    artifacts = {artifact.path: artifact.bytes for artifact in proxied.client.list_artifacts(run.run_id)}
    assert set(artifacts) == {"images.tar", "predictions.parquet"}
    assert proxied.keys() == []


def test_every_prediction_is_a_run_of_its_own_if_asked(recording: Recording) -> None:
    names = ["cat.jpg", "../../etc/passwd", "a/b\\c.png", "üñí 猫.jpg", "x" * 300 + ".jpg", "..", None, "a?b#c%41.png"]
    records = [make_record(START + number, name=name) for number, name in enumerate(names)]
    window = write_window(recording.own, START, records)
    recording.start(runs="prediction")
    recording.wait_until_shipped()
    runs = recording.runs()
    assert [run.tags["imageclassifier.request"] for run in runs] == window.requests
    assert {run.tags["imageclassifier.window"] for run in runs} == {window.id}
    assert all(run.metrics["confidence/red"] == 0.75 and run.metrics["latency_ms"] == 6 for run in runs)
    images = [artifact.path for run in runs for artifact in recording.client.list_artifacts(run.run_id, "input_images")]
    assert images[:4] == [
        "input_images/cat.jpg",
        "input_images/passwd",
        "input_images/c.png",
        "input_images/üñí 猫.jpg",
    ]
    assert len(images[4]) < 200
    assert images[5:7] == [f"input_images/{window.requests[number]}.png" for number in (5, 6)]
    assert images[7] == "input_images/a_b_c_41.png"
    (result,) = recording.client.list_artifacts(runs[0].run_id, "prediction_results")
    assert result.path == "prediction_results/prediction_20260921T141320000000Z.txt"
    text = recording.read(f"{runs[0].artifact_uri}/{result.path}").decode()
    assert "image: cat.jpg\n" in text
    assert "  1. 0.750000  red\n" in text
    assert recording.read(f"{runs[0].artifact_uri}/{images[0]}") == IMAGE


def expect_once(recording: Recording, runs: str, count: int, kills: int) -> None:
    """Kill recorders at any moment until so many windows are shipped: each must be logged, and logged once."""
    chance = random.Random(5)
    windows = [write_window(recording.own, START + 60_000 * number) for number in range(count)]
    killed, longest = 0, 0.3
    while backlog := recording.backlog:
        recorder = recording.start(runs=runs)
        recorder.wait_for('"event": "recording"')
        try:
            recorder.process.wait(chance.uniform(0, longest))
        except subprocess.TimeoutExpired:
            recorder.process.kill()
            killed += 1
        recorder.end()
        # On a slow machine no window would be done in time, ever.
        longest *= 1 if recording.backlog < backlog else 1.5
    assert killed >= kills
    found = recording.runs()
    assert {run.status for run in found} == {"FINISHED"}
    key = "window" if runs == "window" else "request"
    wanted = [w.id for w in windows] if runs == "window" else [request for w in windows for request in w.requests]
    assert Counter(run.tags[f"imageclassifier.{key}"] for run in found) == Counter(wanted)
    if runs == "window":
        tables = [
            pd.read_parquet(io.BytesIO(recording.read(f"{run.artifact_uri}/predictions.parquet"))) for run in found
        ]
        assert sorted(pd.concat(tables).request_id) == sorted(request for w in windows for request in w.requests)


@pytest.mark.parametrize(("runs", "count"), [("window", 6), ("prediction", 3)])
def test_a_recorder_that_is_killed_again_and_again_logs_everything_once(
    recording: Recording, runs: str, count: int
) -> None:
    expect_once(recording, runs, count, kills=2)
