"""What is changed rolls out under load, and Ready says when it has, never before."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from subprocess import PIPE, Popen

import pytest

from tests.e2e import environment
from tests.e2e.classifiers import classifier, condition, has, host, ingress, is_ready, picture, ready
from tests.e2e.cluster import Cluster, Event, Object, Recording
from tests.e2e.load import Load

REVISION = "imageclassifier.dev/revision"


@contextmanager
def load_through_the_service(cluster: Cluster, url: str) -> Iterator[Object]:
    """Post to a Service from a pod while the block runs; what came of it is in the dict afterwards.

    By `kept`, over a connection that is kept, and `new`, over a new one each time: what was `answered`, `failures`.
    """
    command = ["kubectl", "--kubeconfig", str(cluster.kubeconfig), "-n", environment.TOOLS, "exec", "-i", "files", "--",
               "python", "/files/load_in_cluster.py", url, "/files/red.png"]  # fmt: skip
    outcome: Object = {}
    with Popen(command, stdin=PIPE, stdout=PIPE, stderr=PIPE, text=True) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "started\n"
        yield outcome
        outcome.update(json.loads(process.communicate()[0]))


@pytest.mark.parametrize(
    "change",
    [{"topK": 1}, {"model": {"labels": {"inline": ["rouge", "vert", "bleu"]}}}],
    ids=["topk", "labels"],
)
def test_a_change_rolls_out_with_no_failed_request_over_kept_connections_and_new_ones(
    operator: Cluster, namespace: str, authority: environment.Authority, change: Object
) -> None:
    before = classifier("photos", namespace, replicas=2, route=ingress("photos", namespace))
    operator.apply(before)
    operator.until("imageclassifiers", namespace, "photos", ready)
    operator.until("imageclassifiers", namespace, "photos", has("Progressing", "True"))
    operator.until("imageclassifiers", namespace, "photos", has("RouteReady", "True"))
    route, own_host = f"{environment.INGRESS}/api/v1/predict", host("photos", namespace)
    with (
        Load(route, own_host, picture("red")) as outside,
        Load(route, own_host, picture("red"), keep_alive=False) as outside_anew,
        load_through_the_service(operator, f"http://photos.{namespace}.svc/api/v1/predict") as inside,
    ):
        operator.patch("imageclassifiers", namespace, "photos", {"spec": change})
        operator.until("imageclassifiers", namespace, "photos", ready)
    assert outside.failures == outside_anew.failures == []
    assert inside["kept"]["failures"] == inside["new"]["failures"] == []
    assert min(inside["kept"]["answered"], inside["new"]["answered"]) > 20
    for load in (outside, outside_anew):
        assert len(load.answers) == 2, "the answers before and those after the change, and no others"


def test_replicas_are_scaled_by_kubectl_and_ready_stays(operator: Cluster, namespace: str) -> None:
    operator.apply(classifier("photos", namespace))
    operator.until("imageclassifiers", namespace, "photos", ready)
    with operator.record(namespace, "imageclassifiers") as recording:
        operator.kubectl("-n", namespace, "scale", "ic/photos", "--replicas=2")
        found = operator.until(
            "imageclassifiers",
            namespace,
            "photos",
            lambda each: has("Progressing", "True")(each) and (each or {})["status"].get("replicas") == 2,
        )
    assert {condition(event.object, "Ready")["status"] for event in recording.of("imageclassifiers")} == {"True"}
    assert found is not None
    pods = operator.find("pods", namespace, found["status"]["selector"])
    assert len(pods) == 2


def test_no_replicas_is_not_ready_and_says_why(operator: Cluster, namespace: str) -> None:
    operator.apply(classifier("photos", namespace))
    operator.until("imageclassifiers", namespace, "photos", ready)
    operator.kubectl("-n", namespace, "scale", "ic/photos", "--replicas=0")
    operator.until("imageclassifiers", namespace, "photos", has("Ready", "False", "ScaledToZero"))
    operator.kubectl("-n", namespace, "scale", "ic/photos", "--replicas=1")
    operator.until("imageclassifiers", namespace, "photos", ready)


def test_an_old_pod_killed_in_a_failed_rollout_comes_back_with_the_old_spec(operator: Cluster, namespace: str) -> None:
    operator.apply(classifier("photos", namespace, topK=1))
    operator.until("imageclassifiers", namespace, "photos", ready)
    (old,) = operator.find("pods", namespace, "imageclassifier.dev/classifier=photos")
    changed = {"topK": 2, "model": {"sha256": "0" * 64}}
    operator.patch("imageclassifiers", namespace, "photos", {"spec": changed})
    operator.until("imageclassifiers", namespace, "photos", has("Ready", "False", "DigestMismatch"))
    operator.kubectl("-n", namespace, "delete", "pod", old["metadata"]["name"], "--grace-period=0", "--force")
    revision = old["metadata"]["labels"]["imageclassifier.dev/revision"]
    operator.until_some(
        "pods",
        namespace,
        f"imageclassifier.dev/revision={revision}",
        lambda pod: pod["metadata"]["uid"] != old["metadata"]["uid"] and is_ready(pod),
    )
    operator.until("imageclassifiers", namespace, "photos", has("ModelServed", "True"))
    assert len(operator.predict(namespace, "photos", picture("red"))["predictions"]) == 1


def record_two_changes(cluster: Cluster, namespace: str, strategy: str) -> Recording:
    """Roll out an object and two changes of it, and return what happened."""
    cluster.apply(classifier("photos", namespace, replicas=2, topK=1, rollout={"strategy": strategy}))
    with cluster.record(namespace, "pods", "imageclassifiers", "configmaps") as recording:
        cluster.until("imageclassifiers", namespace, "photos", ready)
        for generation in (2, 3):
            # topK is the generation, so that a revision's ConfigMap says of which generation its pods are.
            cluster.patch("imageclassifiers", namespace, "photos", {"spec": {"topK": generation}})
            cluster.until("imageclassifiers", namespace, "photos", ready)
        cluster.until("imageclassifiers", namespace, "photos", has("Progressing", "True"))
    return recording


@pytest.mark.parametrize("strategy", ["RollingUpdate", "Recreate"])
def test_ready_is_never_written_while_a_pod_of_another_template_answers(
    operator: Cluster, namespace: str, strategy: str
) -> None:
    written = readiness(record_two_changes(operator, namespace, strategy))
    assert [generation for generation, _, _ in written] == [1, 2, 3]
    for generation, _, others in written:
        assert not [name for name, running in others.items() if running], f"generation {generation}: {others}"


def readiness(recording: Recording) -> list[tuple[int, Event, dict[str, bool]]]:
    """Return each first `Ready: True` of a generation, with what other pods there were then, and which had a server."""
    generations = revisions(recording)
    pods: dict[str, Object] = {}
    written: dict[int, tuple[Event, dict[str, bool]]] = {}
    for event in recording.in_order():
        if event.kind == "pods":
            pods[event.name] = event.object
            if event.type == "DELETED":
                del pods[event.name]
        said = condition(event.object, "Ready") if event.kind == "imageclassifiers" else {}
        if said.get("status") == "True":
            generation = said["observedGeneration"]
            others = {n: runs(pod) for n, pod in pods.items() if generations[revision(pod)] != generation}
            assert any(is_ready(pod) and generations[revision(pod)] == generation for pod in pods.values())
            if generation not in written or any(others.values()):
                written[generation] = (event, others)
    return [(generation, event, others) for generation, (event, others) in sorted(written.items())]


def revisions(recording: Recording) -> dict[str, int]:
    """Return which generation each revision is of, by the topK in its ConfigMap."""
    documents = {
        event.object["metadata"]["name"].removeprefix("photos-"): json.loads(event.object["data"]["classifier.json"])
        for event in recording.of("configmaps")
        if "classifier.json" in event.object.get("data", {})
    }
    return {revision: document["spec"]["topK"] for revision, document in documents.items()}


def revision(pod: Object) -> str:
    return str(pod["metadata"]["labels"][REVISION])


def runs(pod: Object) -> bool:
    """Say whether the pod has a server that may answer."""
    return any("running" in each["state"] for each in pod["status"].get("containerStatuses", []))
