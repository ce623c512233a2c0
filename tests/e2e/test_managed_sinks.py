"""MLflow and MinIO that the objects of a namespace share."""

import threading
from functools import partial

from tests.e2e.classifiers import classifier, condition, has
from tests.e2e.cluster import WITHIN, Cluster, Object
from tests.e2e.sinks import (
    MANAGED,
    MINIO,
    MLFLOW,
    ask_mlflow,
    await_sinks,
    run_in_mlflow,
)

SHARED = "imageclassifier.dev/shared"
CLAIMS = {f"data-{MLFLOW}-0", f"data-{MINIO}-0"}


def idle(name: str, namespace: str, **spec: object) -> Object:
    """Return an object that wants the managed servers, and no pods."""
    return classifier(name, namespace, replicas=0, **{**MANAGED, **spec})


def names(cluster: Cluster, kind: str, namespace: str) -> set[str]:
    return {item["metadata"]["name"] for item in cluster.find(kind, namespace, SHARED)}


def is_another(before: Object, found: Object | None) -> bool:
    return found is not None and found["metadata"]["uid"] != before["metadata"]["uid"]


def is_gone(found: object) -> bool:
    return found is None


def test_objects_share_them_the_last_one_takes_them_away_and_the_next_one_finds_all_again(
    operator: Cluster, namespace: str
) -> None:
    operator.apply(idle("first", namespace), idle("second", namespace))
    await_sinks(operator, namespace)
    assert names(operator, "statefulsets", namespace) == names(operator, "services", namespace) == {MLFLOW, MINIO}
    made = ask_mlflow(operator, namespace, "experiments/create", {"name": "kept"})["experiment_id"]
    run_in_mlflow(operator, namespace, 'store.put_object(Bucket="mlflow", Key="kept", Body=b"x"); print(1)')
    secret = operator.get("secrets", namespace, MINIO)

    operator.kubectl("-n", namespace, "delete", "ic/first")
    operator.until("deployments", namespace, "first", is_gone)
    assert names(operator, "statefulsets", namespace) == {MLFLOW, MINIO}
    operator.kubectl("-n", namespace, "delete", "ic/second")
    for kind in ("statefulsets", "services", "pods"):
        operator.until_none(kind, namespace, SHARED)
    assert {item["metadata"]["name"] for item in operator.find("persistentvolumeclaims", namespace)} == CLAIMS

    operator.apply(idle("third", namespace))
    await_sinks(operator, namespace)
    found = ask_mlflow(operator, namespace, "experiments/get-by-name?experiment_name=kept")["experiment"]
    assert found["experiment_id"] == made
    assert found["artifact_location"] == f"s3://mlflow/artifacts/{made}"
    read = 'print(json.dumps(store.get_object(Bucket="mlflow", Key="kept")["Body"].read().decode()))'
    assert run_in_mlflow(operator, namespace, read) == "x"
    assert operator.get("secrets", namespace, MINIO) == secret


def test_an_object_that_stops_tracking_lets_them_go(operator: Cluster, namespace: str) -> None:
    operator.apply(idle("photos", namespace))
    operator.until("statefulsets", namespace, MLFLOW, lambda found: found is not None)
    operator.patch("imageclassifiers", namespace, "photos", {"spec": {"tracking": None}})
    operator.until("statefulsets", namespace, MLFLOW, is_gone)
    assert names(operator, "statefulsets", namespace) == {MINIO}


def test_the_oldest_object_wins_and_the_others_are_told_by_name(operator: Cluster, namespace: str) -> None:
    operator.apply(idle("oldest", namespace))
    operator.until("statefulsets", namespace, MLFLOW, lambda found: found is not None)
    # Ages count in whole seconds.
    threading.Event().wait(1)
    operator.apply(idle("newer", namespace, storage={"mode": "None"}))
    found = operator.until("imageclassifiers", namespace, "newer", has("TrackingReady", "False", "Conflict"))
    assert "oldest is older" in condition(found, "TrackingReady")["message"]
    assert condition(operator.get("imageclassifiers", namespace, "oldest"), "TrackingReady")["reason"] != "Conflict"
    operator.kubectl("-n", namespace, "delete", "ic/oldest")
    operator.until(
        "imageclassifiers", namespace, "newer", lambda now: condition(now, "TrackingReady")["reason"] != "Conflict"
    )
    operator.until("statefulsets", namespace, MINIO, is_gone)


def test_what_is_edited_or_deleted_is_mended_but_a_stopped_server_stays_stopped(
    operator: Cluster, namespace: str
) -> None:
    operator.apply(idle("photos", namespace))
    operator.until("statefulsets", namespace, MINIO, lambda found: found is not None)
    image = {"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "other:1"}
    operator.patch("statefulsets", namespace, MINIO, [image])
    operator.until(
        "statefulsets",
        namespace,
        MINIO,
        lambda found: found is not None and "minio" in found["spec"]["template"]["spec"]["containers"][0]["image"],
    )
    operator.kubectl("-n", namespace, "delete", f"service/{MINIO}")
    operator.until("services", namespace, MINIO, lambda found: found is not None)
    operator.kubectl("-n", namespace, "scale", f"statefulset/{MINIO}", "--replicas=0")
    operator.kubectl("-n", namespace, "delete", f"service/{MLFLOW}")
    operator.until("services", namespace, MLFLOW, lambda found: found is not None)
    stopped = operator.get("statefulsets", namespace, MINIO)
    assert stopped is not None
    assert stopped["spec"]["replicas"] == 0


def test_a_server_s_data_outlives_its_pod(operator: Cluster, namespace: str) -> None:
    operator.apply(idle("photos", namespace))
    await_sinks(operator, namespace)
    ask_mlflow(operator, namespace, "experiments/create", {"name": "kept"})
    run_in_mlflow(operator, namespace, 'store.put_object(Bucket="mlflow", Key="kept", Body=b"x"); print(1)')
    for name in (MLFLOW, MINIO):
        pod = operator.get("pods", namespace, f"{name}-0")
        assert pod is not None
        operator.kubectl("-n", namespace, "delete", f"pod/{name}-0", "--wait=false")
        operator.until("pods", namespace, f"{name}-0", partial(is_another, pod))
        operator.kubectl("-n", namespace, "wait", f"pod/{name}-0", "--for=condition=Ready", f"--timeout={WITHIN}s")
    assert ask_mlflow(operator, namespace, "experiments/get-by-name?experiment_name=kept")["experiment"]
    assert run_in_mlflow(operator, namespace, 'print(store.list_objects_v2(Bucket="mlflow")["KeyCount"])') == 1
