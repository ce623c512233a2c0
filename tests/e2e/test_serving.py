"""An object is applied, and answers."""

from pathlib import Path

import httpx2

from tests.e2e import environment
from tests.e2e.classifiers import classifier, condition, has, host, in_image, ingress, merged, picture, ready
from tests.e2e.cluster import Cluster
from tests.e2e.environment import Authority
from tests.e2e.load import await_route
from tests.tiny_model import COLOURS

ROOT = Path(__file__).parents[2]
PREDICT = f"{environment.INGRESS}/api/v1/predict"


def top_label(body: bytes, host: str | None = None, path: str = "") -> str:
    answer = await_route(f"{environment.INGRESS}{path}/api/v1/predict", host, body)
    return str(answer.json()["predictions"][0]["label"])


def test_an_applied_object_becomes_ready_and_the_ingress_answers_with_the_right_class(
    operator: Cluster, namespace: str
) -> None:
    operator.apply(classifier("photos", namespace, route=ingress("photos", namespace)))
    operator.kubectl("-n", namespace, "wait", "ic/photos", "--for=condition=Ready", "--timeout=60s")
    found = operator.until("imageclassifiers", namespace, "photos", has("RouteReady", "True"))
    assert found is not None
    assert found["status"]["url"] == f"http://{host('photos', namespace)}"
    assert len(found["status"]["model"]["sha256"]) == 64
    assert condition(found, "ModelServed")["status"] == "True"
    for colour in COLOURS:
        assert top_label(picture(colour), host("photos", namespace)) == colour


def test_an_ingress_path_is_stripped(operator: Cluster, namespace: str) -> None:
    route = merged(ingress("photos", namespace), {"ingress": {"path": "/some/where"}})
    operator.apply(classifier("photos", namespace, route=route))
    operator.until("imageclassifiers", namespace, "photos", ready)
    operator.until("imageclassifiers", namespace, "photos", has("RouteReady", "True"))
    assert top_label(picture("blue"), host("photos", namespace), "/some/where") == "blue"


def test_a_model_and_labels_behind_https_are_served(operator: Cluster, namespace: str, authority: Authority) -> None:
    model = {"uri": f"{authority.url}/model.onnx", "labels": {"inline": None, "uri": f"{authority.url}/labels.txt"}}
    operator.apply(classifier("photos", namespace, model=model))
    operator.until("imageclassifiers", namespace, "photos", ready)
    assert operator.predict(namespace, "photos", picture("green"))["predictions"][0]["label"] == "green"


def test_labels_of_a_configmap_are_served(operator: Cluster, namespace: str) -> None:
    labels = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "labels", "namespace": namespace}}
    served = {"labels": {"inline": None, "configMap": {"name": "labels", "key": "labels.txt"}}}
    operator.apply(classifier("photos", namespace, model=served))
    operator.until("imageclassifiers", namespace, "photos", has("Ready", "False", "LabelsNotFound"))
    operator.apply({**labels, "data": {"labels.txt": "rouge\nvert\nbleu\n"}})
    operator.until("imageclassifiers", namespace, "photos", ready)
    assert operator.predict(namespace, "photos", picture("green"))["predictions"][0]["label"] == "vert"


def test_with_auth_nobody_is_answered_without_a_key_of_the_secret(operator: Cluster, namespace: str) -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "keys", "namespace": namespace}}
    guarded = classifier("photos", namespace, auth={"secret": "keys"}, route=ingress("photos", namespace))
    operator.apply({**secret, "stringData": {"mobile": "a-key"}}, guarded)
    operator.apply(classifier("keyless", namespace, auth={"secret": "absent"}))
    operator.until("imageclassifiers", namespace, "photos", ready)
    asked = host("photos", namespace)
    assert await_route(PREDICT, asked, picture("blue"), bearer="a-key").json()["predictions"][0]["label"] == "blue"
    refused = httpx2.post(PREDICT, content=picture("blue"), headers={"Host": asked}, trust_env=False)
    assert (refused.status_code, refused.headers["WWW-Authenticate"]) == (401, "Bearer")
    operator.until("imageclassifiers", namespace, "keyless", has("Ready", "False", "ApiKeysMissing"))
    shown = operator.kubectl("-n", namespace, "get", "ic,deployments,pods,events,configmaps", "-o", "yaml")
    assert "a-key" not in shown + operator.kubectl("-n", namespace, "logs", "deploy/photos")


def test_the_same_name_in_two_namespaces_is_two_classifiers(operator: Cluster, namespace: str) -> None:
    with environment.a_namespace(operator, f"{namespace}-b") as other:
        operator.apply(classifier("photos", namespace, topK=1), classifier("photos", other, topK=2))
        for each, count in ((namespace, 1), (other, 2)):
            operator.until("imageclassifiers", each, "photos", ready)
            assert len(operator.predict(each, "photos", picture("red"))["predictions"]) == count
        operator.kubectl("-n", other, "delete", "ic/photos")
        operator.until("deployments", other, "photos", lambda found: found is None)
    assert ready(operator.get("imageclassifiers", namespace, "photos"))
    assert len(operator.predict(namespace, "photos", picture("red"))["predictions"]) == 1


def test_the_quickstart_sample_becomes_ready_and_knows_a_cat(operator: Cluster, namespace: str) -> None:
    sample = (ROOT / "manifests" / "samples" / "quickstart.yaml").read_text()
    operator.kubectl("-n", namespace, "apply", "-f", "-", stdin=sample)
    operator.kubectl("-n", namespace, "wait", "ic/photos", "--for=condition=Ready", "--timeout=120s")
    operator.until("imageclassifiers", namespace, "photos", has("RouteReady", "True"))
    cat = (ROOT / "models" / "photos" / "cat.jpg").read_bytes()
    assert top_label(cat) in {"tabby", "tiger cat", "Egyptian cat"}


def test_pods_that_load_different_models_are_told(operator: Cluster, namespace: str, authority: Authority) -> None:
    operator.apply(classifier("photos", namespace, model={"uri": f"{authority.url}/alternating.onnx"}))
    operator.until("imageclassifiers", namespace, "photos", ready)
    operator.kubectl("-n", namespace, "scale", "ic/photos", "--replicas=2")
    operator.until("imageclassifiers", namespace, "photos", has("Ready", "False", "ModelDiffers"))


def test_kubectl_shows_what_runs(operator: Cluster, namespace: str) -> None:
    operator.apply(classifier("photos", namespace, model={"version": "2.1"}, selfTest=[
        {"image": {"uri": in_image("red.png")}, "label": "red", "minScore": 0.9}]))  # fmt: skip
    operator.until("imageclassifiers", namespace, "photos", ready)
    headings, row = operator.kubectl("-n", namespace, "get", "ic").splitlines()
    assert headings.split()[:5] == ["NAME", "READY", "REASON", "VERSION", "REPLICAS"]
    assert row.split()[:5] == ["photos", "True", "Answering", "2.1", "1"]
    assert "photos" in operator.kubectl("-n", namespace, "get", "all")
