"""What logging adds to an object's pods and status."""

import asyncio
import json
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest

from classifier_inference.report.sink_state import SinkReason, SinkState, SinkStates
from classifier_inference.report.termination import Lost, render_termination
from classifier_inference.spec.classifier import ClassifierSpec
from classifier_operator.decide.log_volume import find_volume_problem
from classifier_operator.decide.losses import read_loss, summarise_lost
from classifier_operator.decide.sink_health import Answer, Target, parse_answer, summarise_sinks
from classifier_operator.key import Key
from classifier_operator.names import FIRST_SLOT
from classifier_operator.reasons import Problem
from classifier_operator.resources.pod import build_pod_template
from classifier_operator.resources.revision import build_revision
from classifier_operator.sink_poller import HealthPoller
from tests.unit.operator.objects import SETTINGS, classifier_of

MANAGED = {"tracking": {"mode": "Managed"}, "storage": {"mode": "Managed"}}
EXTERNAL = {
    "tracking": {"mode": "External", "uri": "http://mlflow:5000", "secret": "token"},
    "storage": {"mode": "External", "endpoint": "http://s3:9000", "bucket": "logs", "secret": "keys"},
}
WORKS = SinkState(ready=True, reason=SinkReason.LOGGING)


def pod_of(**changes: Any) -> dict[str, Any]:
    classifier = classifier_of(**changes)
    pod: dict[str, Any] = build_pod_template(classifier, FIRST_SLOT, build_revision(classifier, None), SETTINGS, None)[
        "spec"
    ]
    return pod


def container_of(pod: dict[str, Any], name: str) -> dict[str, Any]:
    containers: list[dict[str, Any]] = [*pod["initContainers"], *pod["containers"]]
    (found,) = [each for each in containers if each["name"] == name]
    return found


def test_an_object_that_does_not_log_has_the_revision_that_it_always_had() -> None:
    off = classifier_of(tracking={"mode": "None"}, storage={})
    assert build_revision(off, None) == build_revision(classifier_of(), None)
    assert [each["name"] for each in pod_of()["initContainers"]] == ["model", "fetch"]


def test_a_pod_knows_stores_by_their_addresses_alone() -> None:
    document = json.loads(build_revision(classifier_of(**MANAGED, predictionLog={"window": "5s"}), None).document)
    spec = ClassifierSpec.model_validate({key: value for key, value in document["spec"].items() if key != "rollout"})
    assert (spec.tracking.mode, spec.tracking.uri) == ("External", "http://imageclassifier-mlflow.team.svc:5000")
    assert (spec.storage.mode, spec.storage.bucket) == ("External", "mlflow")
    assert spec.prediction_log.window == 5


def test_the_recorder_is_a_sidecar_that_starts_last_and_has_time_to_ship() -> None:
    pod = pod_of(**MANAGED, predictionLog={"shipTime": "90s", "spool": "64Mi"})
    recorder = pod["initContainers"][-1]
    assert (recorder["name"], recorder["restartPolicy"]) == ("recorder", "Always")
    assert not {"readinessProbe", "livenessProbe", "startupProbe"} & recorder.keys()
    assert pod["terminationGracePeriodSeconds"] == pod_of()["terminationGracePeriodSeconds"] + 90
    assert {"name": "spool", "emptyDir": {"sizeLimit": str(64 * 2**20)}} in pod["volumes"]
    for name in ("recorder", "server"):
        container = container_of(pod, name)
        assert container["args"][container["args"].index("--spool") + 1] == "/spool"
        assert {"name": "spool", "mountPath": "/spool"} in container["volumeMounts"]


def test_a_volume_takes_the_place_of_the_emptydir() -> None:
    pod = pod_of(**MANAGED, predictionLog={"volume": {"claim": "logs"}})
    assert {"name": "spool", "persistentVolumeClaim": {"claimName": "logs"}} in pod["volumes"]


def test_what_kubernetes_owns_as_a_whole_has_its_defaults_written_out() -> None:
    """Else each reconcile would find a key too many, and apply the object again."""
    for name in ("recorder", "server"):
        fields = [each["valueFrom"]["fieldRef"] for each in container_of(pod_of(**MANAGED), name)["env"]
                  if "fieldRef" in each.get("valueFrom", {})]  # fmt: skip
        assert len(fields) == 2
        assert all(field["apiVersion"] == "v1" for field in fields)


@pytest.mark.parametrize("name", ["recorder", "server"])
def test_credentials_come_from_secrets_and_a_missing_one_of_the_user_s_holds_nothing_up(name: str) -> None:
    env = {variable["name"]: variable for variable in container_of(pod_of(**EXTERNAL), name)["env"]}
    for variable, secret, key in (
        ("AWS_ACCESS_KEY_ID", "keys", "accessKeyId"),
        ("AWS_SECRET_ACCESS_KEY", "keys", "secretAccessKey"),
        ("MLFLOW_TRACKING_TOKEN", "token", "token"),
        ("MLFLOW_TRACKING_PASSWORD", "token", "password"),
    ):
        assert env[variable]["valueFrom"] == {"secretKeyRef": {"name": secret, "key": key, "optional": True}}
    managed = {variable["name"]: variable for variable in container_of(pod_of(**MANAGED), name)["env"]}
    reference = {"name": "imageclassifier-minio", "key": "accessKeyId"}
    assert managed["AWS_ACCESS_KEY_ID"]["valueFrom"]["secretKeyRef"] == reference


def test_a_variable_of_the_object_s_own_does_not_come_twice() -> None:
    given = [{"name": "POD_NAME", "value": "mine"}, {"name": "HTTPS_PROXY", "value": "http://proxy"}]
    for name in ("recorder", "server"):
        names = [each["name"] for each in container_of(pod_of(**MANAGED, pod={"env": given}), name)["env"]]
        assert len(names) == len(set(names))
        assert "HTTPS_PROXY" in names


@pytest.mark.parametrize(
    ("answer", "status", "reason"),
    [
        (None, "Unknown", "NoAnswer"),
        (Answer(None, "p"), "Unknown", "NoAnswer"),
        (Answer(None, "p", pending=True), "Unknown", "NoAnswer"),
        (Answer(SinkStates(), "p"), "Unknown", "NothingShipped"),
        (Answer(SinkStates(tracking=WORKS), "p"), "True", "Logging"),
        (Answer(SinkStates(tracking=SinkState(ready=False, reason=SinkReason.REFUSED)), "p"), "False", "Refused"),
    ],
)
def test_tracking_is_as_the_pod_sees_it(answer: Answer | None, status: str, reason: str) -> None:
    condition = summarise_sinks(classifier_of(**MANAGED), answer, {}, {})[0]
    assert (condition.type, condition.status, condition.reason) == ("TrackingReady", status, reason)
    assert condition.message


def test_an_operator_that_has_asked_nobody_yet_leaves_what_was_seen() -> None:
    before = {"type": "TrackingReady", "status": "True", "reason": "Logging", "message": "fine"}
    asked = Answer(None, "p", pending=True)
    assert summarise_sinks(classifier_of(**MANAGED), asked, {}, {"conditions": [before]})[0].status == "True"


@pytest.mark.parametrize(("reason", "status"), [("Conflict", "False"), ("ImagePullFailed", "True")])
def test_a_conflict_counts_even_where_all_works_and_a_failing_server_only_where_it_does_not(
    reason: str, status: str
) -> None:
    answer = Answer(SinkStates(tracking=WORKS, storage=WORKS), "p")
    obstacles = {"TrackingReady": Problem(reason, "why")}
    assert summarise_sinks(classifier_of(**MANAGED), answer, obstacles, {})[0].status == status
    assert summarise_sinks(classifier_of(**MANAGED), None, obstacles, {})[0].reason == reason


def test_each_store_has_a_condition_where_there_is_one() -> None:
    assert summarise_sinks(classifier_of(), None, {}, {}) == []
    tracked = classifier_of(tracking=MANAGED["tracking"])
    assert [each.type for each in summarise_sinks(tracked, None, {}, {})] == ["TrackingReady"]


@pytest.mark.parametrize("body", [b"", b"{}", b'{"log": null}', b'{"log": {"tracking": {"reason": "?"}}}', b"\xff"])
def test_an_answer_that_can_not_be_understood_counts_as_none(body: bytes) -> None:
    assert parse_answer("p", body) == Answer(None, "p")


def ended(loss: Lost, **metadata: Any) -> dict[str, Any]:
    terminated = {"exitCode": 0, "message": render_termination(loss)}
    statuses = [{"name": "fetch", "state": {}}, {"name": "recorder", "state": {"terminated": terminated}}]
    return {"metadata": {"name": "p", **metadata}, "status": {"initContainerStatuses": statuses}}


def test_what_ended_with_a_pod_is_added_to_what_was_lost_before() -> None:
    loss = Lost(lost_predictions=3, lost_images=2)
    assert read_loss(ended(loss)) is None
    assert read_loss(ended(loss, deletionTimestamp="2030-01-01T00:00:00Z")) == loss
    before = {"log": summarise_lost({}, [loss])}
    assert summarise_lost(before, []) == before["log"]
    assert summarise_lost(before, [loss]) == {"lost": {"predictions": 6, "images": 4}}
    assert summarise_lost({}, []) is None


@pytest.mark.parametrize(
    ("modes", "replicas", "reason"),
    [
        (None, 1, "VolumeNotFound"),
        (["ReadWriteOnce"], 1, None),
        (["ReadWriteOnce"], 2, "VolumeNotShareable"),
        (["ReadWriteOnce", "ReadWriteMany"], 2, None),
    ],
)
def test_a_log_s_volume_fits_its_replicas(modes: list[str] | None, replicas: int, reason: str | None) -> None:
    problem = find_volume_problem("logs", {"spec": {"accessModes": modes}} if modes else None, replicas)
    assert (problem.reason if problem else None) == reason


class _Pod(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        content = json.dumps({"log": {"tracking": {"ready": True, "reason": "Logging"}}}).encode()
        # Not ready as a whole, and yet it says how the stores are.
        self.send_response(503)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


async def test_a_pod_is_asked_and_who_wants_to_know_is_told() -> None:
    server = HTTPServer(("127.0.0.1", 0), _Pod)
    Thread(target=server.serve_forever, daemon=True).start()
    told: asyncio.Queue[Key] = asyncio.Queue()
    poller = HealthPoller(told.put_nowait, port=server.server_port)
    key, target = Key("team", "photos"), Target("p", "127.0.0.1")
    first = poller.watch(key, target)
    assert first is not None
    assert first.pending
    polling = asyncio.create_task(poller.run())
    try:
        assert await asyncio.wait_for(told.get(), 10) == key
        answer = poller.watch(key, target)
        assert answer is not None
        assert answer.states is not None
        assert answer.states.tracking.ready is True
        assert poller.watch(key, None) is None
    finally:
        polling.cancel()
        server.shutdown()
        server.server_close()


async def test_a_pod_that_is_not_there_has_not_answered() -> None:
    told: asyncio.Queue[Key] = asyncio.Queue()
    poller = HealthPoller(told.put_nowait, port=9)
    key, target = Key("team", "photos"), Target("p", "127.0.0.1")
    poller.watch(key, target)
    polling = asyncio.create_task(poller.run())
    try:
        await asyncio.wait_for(told.get(), 10)
        assert poller.watch(key, target) == Answer(None, "p")
    finally:
        polling.cancel()
