"""Models by s3:// and models:/: from the stores that a namespace shares, with what goes wrong named."""

import base64
import json
from collections.abc import Callable

from tests.e2e.classifiers import classifier, condition, has, picture, ready
from tests.e2e.cluster import Cluster, Object
from tests.e2e.sinks import MANAGED, await_sinks, run_in_mlflow
from tests.tiny_model import COLOURS, build_model

MODEL = "colours"
ALIAS = f"models:/{MODEL}@champion"
FACTORS = {"1": 10.0, "2": -10.0}
"""By what a version multiplies its means: the second one likes best what there is least of, and takes red for green."""


def publish(cluster: Cluster, namespace: str) -> None:
    """Put two versions of a model into the store, register them, and have the alias name the first."""
    contents = {version: base64.b64encode(build_model(factor=factor)).decode() for version, factor in FACTORS.items()}
    labels = "\n".join(COLOURS)
    script = f"""
import base64
ask("registered-models/create", json.dumps({{"name": "{MODEL}"}}))
description = json.dumps({{"flavors": {{"onnx": {{"data": "model.onnx"}}}}}})
for version, content in {contents!r}.items():
    files = {{"model.onnx": base64.b64decode(content), "MLmodel": description.encode()}}
    files["labels.txt"] = {labels!r}.encode()
    for name, data in files.items():
        store.put_object(Bucket="mlflow", Key=f"models/{{version}}/{{name}}", Body=data)
    ask("model-versions/create", json.dumps({{"name": "{MODEL}", "source": f"s3://mlflow/models/{{version}}"}}))
print(1)
"""
    run_in_mlflow(cluster, namespace, script)
    set_alias(cluster, namespace, "1")


def set_alias(cluster: Cluster, namespace: str, version: str) -> None:
    asked = json.dumps({"name": MODEL, "alias": "champion", "version": version})
    run_in_mlflow(cluster, namespace, f'ask("registered-models/alias", {asked!r}); print(1)')


def delete_alias(cluster: Cluster, namespace: str) -> None:
    asked = json.dumps({"name": MODEL, "alias": "champion"})
    run_in_mlflow(cluster, namespace, f'ask("registered-models/alias", {asked!r}, "DELETE"); print(1)')


def says(kind: str, part: str) -> Callable[[Object | None], bool]:
    return lambda found: part in condition(found, kind).get("message", "")


def seen(cluster: Cluster, namespace: str) -> str:
    """Return what the model takes a red picture for."""
    return str(cluster.predict(namespace, "photos", picture("red"))["predictions"][0]["label"])


def test_an_alias_is_resolved_once_a_revision_and_a_moved_one_is_told_and_taken_with_the_next_change(
    operator: Cluster, namespace: str
) -> None:
    operator.apply(classifier("keeper", namespace, replicas=0, **MANAGED))
    await_sinks(operator, namespace)
    publish(operator, namespace)
    model = {"uri": ALIAS, "labels": {"inline": None, "uri": f"{ALIAS}/labels.txt"}}
    operator.apply(classifier("photos", namespace, model=model, **MANAGED))
    found = operator.until("imageclassifiers", namespace, "photos", ready)
    assert found is not None
    resolved, served = found["status"]["resolved"], found["status"]["model"]
    assert (resolved["uri"], resolved["source"]) == (f"models:/{MODEL}/1", "s3://mlflow/models/1")
    assert (served["version"], served["sha256"]) == ("1", resolved["sha256"])
    assert seen(operator, namespace) == "red"

    set_alias(operator, namespace, "2")
    operator.kubectl("-n", namespace, "delete", "job", f"photos-r-{resolved['request']}")
    told = says("ModelServed", "version 1 answers; the alias names version 2 by now")
    found = operator.until("imageclassifiers", namespace, "photos", told)
    assert found is not None
    assert ready(found)
    assert found["status"]["model"] == served

    delete_alias(operator, namespace)
    operator.kubectl("-n", namespace, "delete", "job", f"photos-r-{resolved['request']}")
    told = says("ModelServed", "version 1 answers; the alias names no version any more")
    found = operator.until("imageclassifiers", namespace, "photos", told)
    assert ready(found)

    set_alias(operator, namespace, "2")
    operator.patch("imageclassifiers", namespace, "photos", {"spec": {"topK": 2}})
    found = operator.until("imageclassifiers", namespace, "photos", ready)
    assert found is not None
    assert found["status"]["model"]["version"] == "2"
    assert seen(operator, namespace) == "green"

    operator.patch("imageclassifiers", namespace, "photos", {"spec": {"model": {"uri": f"models:/{MODEL}@nobody",
                   "labels": {"uri": f"models:/{MODEL}@nobody/labels.txt"}}}})  # fmt: skip
    failed = has("Ready", "False", "ModelNotFound")
    found = operator.until("imageclassifiers", namespace, "photos", failed)
    assert "Registered model alias nobody not found" in condition(found, "Ready")["message"]
    assert condition(found, "ModelServed")["status"] == "True"
    assert seen(operator, namespace) == "green"


def test_an_s3_address_is_fetched_with_the_stores_credentials_and_a_wrong_one_told_in_its_words(
    operator: Cluster, namespace: str
) -> None:
    operator.apply(classifier("keeper", namespace, replicas=0, **MANAGED))
    await_sinks(operator, namespace)
    publish(operator, namespace)
    uri = "s3://mlflow/models/1/model.onnx"
    storage = {"storage": {"mode": "Managed"}}
    operator.apply(classifier("photos", namespace, model={"uri": uri}, **storage))
    operator.until("imageclassifiers", namespace, "photos", ready)
    assert seen(operator, namespace) == "red"
    for wrong, said in (
        ("s3://mlflow/nothing.onnx", "NoSuchKey: The specified key does not exist"),
        ("s3://no-such-bucket/m.onnx", "NoSuchBucket: The specified bucket does not exist"),
    ):
        operator.patch("imageclassifiers", namespace, "photos", {"spec": {"model": {"uri": wrong}}})
        told = says("Ready", said)
        found = operator.until("imageclassifiers", namespace, "photos", told)
        assert condition(found, "Ready")["reason"] == "ModelNotFound"
        assert condition(found, "ModelServed")["status"] == "True"
