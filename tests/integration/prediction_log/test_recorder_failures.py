"""Stores that are away, refuse, or are something else: what is said, and that nothing is lost or logged twice."""

import signal
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from classifier_inference.log.recorder.recorder_state import RecorderState
from classifier_inference.log.spool.windows import adopt
from classifier_inference.report.sink_state import SinkReason
from classifier_inference.report.termination import Lost, parse_termination
from tests.integration.prediction_log.conftest import Recording
from tests.integration.prediction_log.stores import wait_until
from tests.integration.prediction_log.windows import Written, make_record, write_window

START = 1_790_000_000_000


def list_windows(recording: Recording) -> Counter[str]:
    runs = recording.runs()
    assert {run.status for run in runs} <= {"FINISHED"}
    return Counter(run.tags["imageclassifier.window"] for run in runs)


def once(windows: list[Written]) -> Counter[str]:
    return Counter(window.id for window in windows)


@pytest.mark.parametrize("gate", ["to_mlflow", "to_minio"])
def test_a_store_that_goes_away_and_comes_back_gets_everything_once(recording: Recording, gate: str) -> None:
    windows = [write_window(recording.own, START)]
    recording.start()
    recording.wait_until_shipped()
    getattr(recording, gate).shut()
    windows += [write_window(recording.own, START + 60_000 * number) for number in range(1, 4)]

    def is_away(state: RecorderState) -> bool:
        sink = state.tracking if gate == "to_mlflow" else state.storage
        return sink is not None and sink.ready is False

    state = recording.wait_for_state(is_away)
    sink, other = (state.tracking, state.storage)[:: 1 if gate == "to_mlflow" else -1]
    assert sink is not None
    assert other is not None
    assert (sink.reason, other.ready) == (SinkReason.UNREACHABLE, True)
    assert f"{getattr(recording, gate).port}" in sink.message
    assert (state.backlog.windows, state.shipped.windows) == (3, 1)
    getattr(recording, gate).open()
    recording.wait_until_shipped()
    recording.wait_for_state(lambda state: state.tracking.ready and state.storage and state.storage.ready)
    assert list_windows(recording) == once(windows)


def expect_once_over_broken_connections(recording: Recording, count: int) -> None:
    """Break the connections to MLflow after each window: each must be logged, and logged once."""
    windows = [write_window(recording.own, START + 60_000 * number) for number in range(count)]
    recording.start()
    while recording.backlog:
        backlog = recording.backlog
        recording.to_mlflow.shut()
        recording.to_mlflow.open()
        wait_until(lambda: recording.backlog < backlog, "progress")  # noqa: B023 - waited for at once
    assert list_windows(recording) == once(windows)


def test_connections_that_break_at_any_moment_make_no_second_run(recording: Recording) -> None:
    expect_once_over_broken_connections(recording, 3)


def test_a_run_that_was_made_twice_is_found_and_one_is_kept(recording: Recording) -> None:
    window = write_window(recording.own, START)
    experiment_id = recording.client.ensure_experiment(recording.experiment)
    for _ in range(3):
        recording.client.create_run(experiment_id, "late", START, {"imageclassifier.window": window.id})
    recording.start()
    recording.wait_until_shipped()
    assert list_windows(recording) == {window.id: 1}


@pytest.mark.parametrize(
    ("keys", "reason", "message"),
    [
        ({"AWS_SECRET_ACCESS_KEY": "wrong"}, SinkReason.REFUSED, "SignatureDoesNotMatch: The request signature we"),
        ({"AWS_SECRET_ACCESS_KEY": ""}, SinkReason.CREDENTIALS_MISSING, "the keys accessKeyId and secretAccessKey"),
        ({"AWS_ACCESS_KEY_ID": "nobody"}, SinkReason.REFUSED, "InvalidAccessKeyId: The Access Key Id you provided"),
        (
            {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_EC2_METADATA_DISABLED": "true"},
            SinkReason.CREDENTIALS_MISSING,
            "the keys accessKeyId and secretAccessKey",
        ),
    ],
)
def test_keys_that_do_not_open_the_store_are_told_in_its_own_words(
    recording: Recording, keys: dict[str, str], reason: SinkReason, message: str
) -> None:
    write_window(recording.own, START)
    recorder = recording.start(keys=keys)
    state = recording.wait_for_state(
        lambda state: state.tracking.ready and state.storage and state.storage.ready is False
    )
    assert state.storage is not None
    assert state.storage.reason is reason
    assert message in state.storage.message
    assert recording.backlog == 1
    recorder.kill()
    assert "recorder-secret" not in recorder.text


def test_a_bucket_that_is_not_there_is_told_without_anything_to_ship(recording: Recording) -> None:
    recording.bucket = "no-such-bucket"
    recording.start()
    state = recording.wait_for_state(lambda state: state.storage and state.storage.ready is False)
    assert state.storage is not None
    assert state.storage.reason is SinkReason.BUCKET_NOT_FOUND
    assert "NoSuchBucket: The specified bucket does not exist" in state.storage.message


class Page(BaseHTTPRequestHandler):
    status, content = 200, b"<html>Welcome</html>"

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(self.status)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(self.content)))
        self.end_headers()
        self.wfile.write(self.content)

    do_POST = do_GET  # noqa: N815 - http.server's name for it

    def log_message(self, *arguments: object) -> None:
        return


@pytest.fixture(params=[200, 404, 302])
def something_else(request: pytest.FixtureRequest) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), type("Page", (Page,), {"status": request.param})) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_an_address_that_answers_something_else_than_mlflow_is_told(recording: Recording, something_else: str) -> None:
    recording.tracking_uri = something_else
    write_window(recording.own, START)
    recording.start()
    state = recording.wait_for_state(lambda state: state.tracking.ready is False)
    assert state.tracking.reason is SinkReason.NOT_MLFLOW
    assert f"{something_else} does not answer as MLflow does" in state.tracking.message
    assert "Welcome" in state.tracking.message
    assert recording.backlog == 1


def test_a_window_that_mlflow_refuses_holds_no_other_back(recording: Recording) -> None:
    refused = write_window(recording.own, START)
    experiment_id = recording.client.ensure_experiment(recording.experiment)
    run = recording.client.create_run(experiment_id, "other", START, {"imageclassifier.window": refused.id})
    recording.client.log_batch(run.run_id, START, {}, {"device": "another"})
    windows = [write_window(recording.own, START + 60_000 * number) for number in range(1, 4)]
    recording.start()
    wait_until(lambda: recording.backlog == 1, "the others to be shipped")
    state = recording.wait_for_state(lambda state: state.tracking.ready is False)
    assert "Changing param values is not allowed" in state.tracking.message
    assert refused.id in str(next(recording.own.glob("*.sealed.jsonl")))
    windows.append(write_window(recording.spool / "left", START + 300_000))
    wait_until(lambda: not (recording.spool / "left").exists(), "a folder to be adopted")
    runs = recording.runs()
    assert {run.tags["imageclassifier.window"]: run.status for run in runs} == {
        refused.id: "RUNNING",
        **{window.id: "FINISHED" for window in windows},
    }


def test_what_an_ended_server_left_is_sealed_and_shipped_within_the_time(recording: Recording) -> None:
    recorder = recording.start()
    recorder.wait_for('"event": "recording"')
    window = write_window(recording.own, START, sealed=False)
    recorder.process.terminate()
    assert recorder.end() == 0
    assert list_windows(recording) == {window.id: 1}
    assert parse_termination(recording.termination_log.read_text()) == Lost(lost_predictions=0, lost_images=0)


def test_what_can_not_be_shipped_in_time_is_counted(recording: Recording) -> None:
    recording.to_minio.shut()
    write_window(recording.own, START, 4)
    write_window(recording.own, START + 60_000, 3, image=None)
    recorder = recording.start(shipTime="2s")
    recorder.wait_for('"event": "not shipped"')
    recorder.process.terminate()
    assert recorder.end() == 0
    assert parse_termination(recording.termination_log.read_text()) == Lost(lost_predictions=7, lost_images=4)


def test_what_stays_on_a_volume_is_not_lost_and_another_pod_adopts_it(recording: Recording) -> None:
    volume = {"claim": "spool"}
    recording.to_minio.shut()
    windows = [write_window(recording.own, START), write_window(recording.own, START + 60_000, sealed=False)]
    recorder = recording.start(volume=volume, shipTime="1s")
    recorder.wait_for('"event": "not shipped"')
    recorder.process.terminate()
    assert recorder.end() == 0
    assert recording.termination_log.read_text() == ""
    recording.to_minio.open()
    recording.start(pod="pod-2", volume=volume)
    wait_until(lambda: not recording.own.exists(), "the folder to be gone")
    assert list_windows(recording) == once(windows)
    assert {run.tags["imageclassifier.pod"] for run in recording.runs()} == {"pod-1"}
    assert {run.params["preprocess.crop"] for run in recording.runs()} == {"none"}


def test_folders_that_somebody_holds_or_that_are_another_classifiers_are_left_alone(recording: Recording) -> None:
    held, foreign = recording.spool / "held", recording.spool / "foreign"
    write_window(held, START)
    write_window(foreign, START, [make_record(START, classifier="letters")])
    lock = adopt(held)
    assert lock is not None
    write_window(recording.spool / "left", START)
    recording.start()
    wait_until(lambda: not (recording.spool / "left").exists(), "the third folder to be adopted")
    assert [folder.name for folder in sorted(recording.spool.glob("*/*.sealed.jsonl"))] != []
    assert held.exists()
    assert foreign.exists()
    lock.release()


def test_a_torn_record_is_passed_over(recording: Recording) -> None:
    window = write_window(recording.own, START, 2)
    (path,) = recording.own.glob("*.sealed.jsonl")
    path.write_bytes(path.read_bytes() + b'{"request_id": "019')
    recording.start()
    recording.wait_until_shipped()
    assert list_windows(recording) == {window.id: 1}
    assert recording.runs()[0].metrics["count"] == 2


def test_an_mlflow_that_was_started_just_now_is_waited_for_without_a_word(recording: Recording) -> None:
    write_window(recording.own, START)
    recording.to_mlflow.shut()
    recorder = recording.start("pod-1", f"--after={recording.tracking_uri}")
    first = recording.wait_for_state(lambda state: state.backlog.windows == 1)
    later = recording.wait_for_state(lambda state: state.time > first.time)
    assert later.tracking.ready is None
    recording.to_mlflow.open()
    recording.wait_until_shipped()
    recorder.send(signal.SIGTERM)
    assert recorder.end() == 0
    assert "not shipped" not in recorder.text
