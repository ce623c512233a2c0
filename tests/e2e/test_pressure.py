"""Many changes at once, pods taken away, no room for more, names that others have: it settles, or says why not."""

import json
from collections.abc import Iterator

import pytest

from tests.e2e import environment
from tests.e2e.classifiers import classifier, condition, has, ingress, is_ready, ready
from tests.e2e.cluster import Cluster, Object

NAMESPACE = "pressure"
OF_PHOTOS = "imageclassifier.dev/classifier=photos"
EDITS = 30


@pytest.fixture(scope="module")
def served(operator: Cluster) -> Iterator[str]:
    """A namespace in which `photos` is served, for tests that leave it so."""
    with environment.a_namespace(operator, NAMESPACE) as name:
        operator.apply(classifier("photos", name))
        operator.until("imageclassifiers", name, "photos", ready)
        yield name


def test_of_many_changes_in_a_row_the_last_one_is_served(operator: Cluster, served: str) -> None:
    for number in range(EDITS):
        operator.patch("imageclassifiers", served, "photos", {"spec": {"topK": number + 1}})
    operator.until("imageclassifiers", served, "photos", ready)
    # Pods of former revisions may still be ending, and hold theirs.
    (pod,) = [each for each in operator.find("pods", served, OF_PHOTOS) if is_ready(each)]
    revision = f"imageclassifier.dev/revision={pod['metadata']['labels']['imageclassifier.dev/revision']}"
    (config_map,) = operator.find("configmaps", served, revision)
    assert json.loads(config_map["data"]["classifier.json"])["spec"]["topK"] == EDITS


def test_an_evicted_pod_is_replaced(operator: Cluster, served: str) -> None:
    # Those of former revisions may still be ending.
    (pod,) = [each["metadata"]["name"] for each in operator.find("pods", served, OF_PHOTOS) if is_ready(each)]
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": served}}
    operator.kubectl("create", "--raw", f"/api/v1/namespaces/{served}/pods/{pod}/eviction", "-f", "-",
                     stdin=json.dumps(eviction))  # fmt: skip
    operator.until("imageclassifiers", served, "photos", has("Ready", "False"))
    operator.until("imageclassifiers", served, "photos", ready)
    assert [pod] != [each["metadata"]["name"] for each in operator.find("pods", served, OF_PHOTOS) if is_ready(each)]


def test_a_quota_that_keeps_replicas_out_is_told_while_the_others_answer(operator: Cluster, served: str) -> None:
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "full", "namespace": served}}
    operator.apply({**quota, "spec": {"hard": {"pods": "1"}}})
    operator.until("resourcequotas", served, "full", lambda found: "hard" in (found or {}).get("status", {}))
    operator.kubectl("-n", served, "scale", "ic/photos", "--replicas=2")
    found = operator.until("imageclassifiers", served, "photos", has("Progressing", "False", "PodsForbidden"))
    assert "1 of 2 replicas ready; " in condition(found, "Progressing")["message"]
    assert "exceeded quota: full" in condition(found, "Progressing")["message"]
    assert ready(found)
    operator.kubectl("-n", served, "scale", "ic/photos", "--replicas=1")
    operator.kubectl("-n", served, "delete", "resourcequota/full")
    operator.until("imageclassifiers", served, "photos", has("Progressing", "True"))


THEIRS: dict[str, tuple[str, Object]] = {
    "Service": ("v1", {"spec": {"ports": [{"port": 80}]}}),
    "ServiceAccount": ("v1", {}),
    "Ingress": (
        "networking.k8s.io/v1",
        {"spec": {"defaultBackend": {"service": {"name": "a", "port": {"number": 1}}}}},
    ),
    "ConfigMap": ("v1", {"data": {"theirs": "1"}}),
}


@pytest.mark.parametrize("kind", THEIRS)
def test_whatever_has_a_childs_name_is_left_alone_and_named_until_it_is_gone(
    operator: Cluster, served: str, kind: str
) -> None:
    name = f"taken-{kind.lower()}"
    wanted = classifier(name, served, replicas=0, route=ingress(name, served))
    plural = f"{kind.lower()}{'e' if kind == 'Ingress' else ''}s"
    child = first_name(operator, wanted) if kind == "ConfigMap" else name
    version, content = THEIRS[kind]
    theirs = {"apiVersion": version, "kind": kind, "metadata": {"name": child, "namespace": served}, **content}
    operator.apply(theirs)
    before = operator.get(plural, served, child)
    operator.apply(wanted)
    where = "RouteReady" if kind == "Ingress" else "Ready"
    found = operator.until("imageclassifiers", served, name, has(where, "False", "NameTaken"))
    assert f"named {child} exists and belongs to nobody" in condition(found, where)["message"]
    assert operator.get(plural, served, child) == before
    operator.kubectl("-n", served, "delete", f"{kind.lower()}/{child}")
    operator.until("imageclassifiers", served, name, lambda now: condition(now, where)["reason"] != "NameTaken")
    operator.kubectl("-n", served, "delete", f"ic/{name}", "--wait=false")


def first_name(cluster: Cluster, wanted: Object) -> str:
    """Return the name of the ConfigMap that an object's revision gets, and leave nothing of the object."""
    name, namespace = wanted["metadata"]["name"], wanted["metadata"]["namespace"]
    cluster.apply(wanted)
    cluster.until("deployments", namespace, name, lambda found: found is not None)
    (config_map,) = cluster.children(namespace, name)["configmaps"]
    cluster.kubectl("-n", namespace, "delete", f"ic/{name}", "--cascade=foreground")
    return config_map
