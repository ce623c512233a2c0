"""What others go on undoing, and what the API server won't have: told, and not fought over in a hurry."""

import base64
import itertools
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.e2e import environment
from tests.e2e.classifiers import classifier, condition, has
from tests.e2e.cluster import Cluster, Object
from tests.e2e.environment import Authority

NAMESPACE = "contests"
SECONDS = 10
"""For which is counted how often the operator writes against a rival."""
EXTRA = {"name": "RIVAL", "value": "1"}


@pytest.fixture(scope="module")
def served(no_wide_operator: Cluster, chart_values: list[str]) -> Iterator[str]:
    """A namespace with an operator of its own, in which `photos` has its children, and no pods."""
    cluster = no_wide_operator
    with environment.a_namespace(cluster, NAMESPACE) as name:
        # Nobody tells it when a webhook is gone: it looks, as often as it does.
        environment.install_namespaced_operator(cluster, name, *chart_values)
        cluster.apply(classifier("photos", name, replicas=0))
        cluster.until("imageclassifiers", name, "photos", has("Ready", "False", "ScaledToZero"))
        yield name


@contextmanager
def again_and_again(act: Callable[[], None]) -> Iterator[None]:
    """Act up to twenty times a second, in a thread of its own, until the block ends."""
    ended = threading.Event()

    def go_on() -> None:
        while not ended.is_set():
            act()
            ended.wait(0.05)

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@contextmanager
def rival(cluster: Cluster, name: str) -> Iterator[list[int]]:
    """Add a variable to the server of a Deployment whenever it isn't there; yield the generations that it made."""
    made: list[int] = []

    def add() -> None:
        found = cluster.get("deployments", NAMESPACE, name)
        assert found is not None
        if EXTRA not in variables(found):
            path = "/spec/template/spec/containers/0/env/-"
            changed = cluster.patch("deployments", NAMESPACE, name, [{"op": "add", "path": path, "value": EXTRA}])
            made.append(changed["metadata"]["generation"])

    with again_and_again(add):
        yield made


def test_who_undoes_every_mend_is_told_of_and_fought_ever_more_rarely(cluster: Cluster, served: str) -> None:
    with rival(cluster, "photos") as made:
        found = cluster.until("imageclassifiers", served, "photos", has("Progressing", "True", "Contested"))
        # What is measured is how often within a length of time.
        threading.Event().wait(SECONDS)
    assert "spec.template.spec.containers.0.env" in condition(found, "Progressing")["message"]
    assert 4 <= len(made) <= 9
    events = cluster.find("events", served)
    (event,) = [each for each in events if each["reason"] == "Contested"]
    assert event["type"] == "Warning"
    cluster.patch("imageclassifiers", served, "photos", {"spec": {"topK": 2}})
    cluster.until("deployments", served, "photos", lambda now: EXTRA not in variables(now))


def webhook(kind: str, rule: Object, client: Object) -> Object:
    """Return a webhook that is asked about things of the namespace."""
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": kind,
        "metadata": {"name": NAMESPACE},
        "webhooks": [
            {
                "name": "asked.contests.test",
                "admissionReviewVersions": ["v1"],
                "sideEffects": "None",
                "failurePolicy": "Fail",
                "clientConfig": client,
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": NAMESPACE}},
                "rules": [{"apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "scope": "*", **rule}],
            }
        ],
    }


def failing_webhook(rule: Object) -> Object:
    """Return a webhook that isn't there."""
    client = {"service": {"namespace": NAMESPACE, "name": "absent", "path": "/"}}
    return webhook("ValidatingWebhookConfiguration", rule, client)


@pytest.fixture
def mutating_webhook(cluster: Cluster, authority: Authority) -> Iterator[None]:
    """Have a webhook add a variable to each Deployment of the namespace."""
    bundle = base64.b64encode(authority.certificate.encode()).decode()
    client = {"service": {"namespace": environment.TOOLS, "name": "files", "path": "/"}, "caBundle": bundle}
    rule = {"apiGroups": ["apps"], "resources": ["deployments"]}
    cluster.apply(webhook("MutatingWebhookConfiguration", rule, client))
    yield
    cluster.kubectl("delete", "mutatingwebhookconfiguration", NAMESPACE, "--ignore-not-found")


def variables(found: Object | None) -> list[Object]:
    env: list[Object] = (found or {})["spec"]["template"]["spec"]["containers"][0]["env"]
    return env


@pytest.mark.usefixtures("mutating_webhook")
def test_a_webhook_that_adds_to_a_deployment_is_told_of_too(cluster: Cluster, served: str) -> None:
    cluster.apply(classifier("mutated", served, replicas=0))
    cluster.until("services", served, "mutated", lambda now: now is not None)
    looks = itertools.count()

    def look_at_it() -> None:
        # By a child: changes of the object itself would come between its reading and its status.
        annotated = {"metadata": {"annotations": {"looked-at": str(next(looks))}}}
        cluster.patch("services", served, "mutated", annotated)

    with again_and_again(look_at_it):
        found = cluster.until("imageclassifiers", served, "mutated", has("Progressing", "True", "Contested"))
    assert "of the Deployment mutated" in condition(found, "Progressing")["message"]
    assert EXTRA in variables(cluster.get("deployments", served, "mutated"))
    cluster.kubectl("delete", "mutatingwebhookconfiguration", NAMESPACE)
    cluster.until("deployments", served, "mutated", lambda now: EXTRA not in variables(now))


@pytest.fixture
def no_services(cluster: Cluster) -> Iterator[None]:
    """Have the API server answer 500 to whoever makes a Service in the namespace."""
    cluster.apply(failing_webhook({"apiGroups": [""], "resources": ["services"]}))
    yield
    cluster.kubectl("delete", "validatingwebhookconfiguration", NAMESPACE, "--ignore-not-found")


@pytest.mark.usefixtures("no_services")
def test_a_webhook_that_fails_is_told_in_the_api_servers_words(cluster: Cluster, served: str) -> None:
    cluster.apply(classifier("blocked", served, replicas=0))
    found = cluster.until("imageclassifiers", served, "blocked", has("Ready", "False", "ChildRefused"))
    assert "Service blocked: " in condition(found, "Ready")["message"]
    assert 'failed calling webhook "asked.contests.test"' in condition(found, "Ready")["message"]
    assert found is not None
    assert found["status"]["lastFailure"]["reason"] == "ChildRefused"
    cluster.kubectl("delete", "validatingwebhookconfiguration", NAMESPACE)
    cluster.until("imageclassifiers", served, "blocked", has("Ready", "False", "ScaledToZero"))


@pytest.fixture
def no_deletions(cluster: Cluster) -> Iterator[None]:
    """Have the API server answer 500 to whoever deletes a ConfigMap in the namespace."""
    cluster.apply(failing_webhook({"apiGroups": [""], "resources": ["configmaps"], "operations": ["DELETE"]}))
    yield
    cluster.kubectl("delete", "validatingwebhookconfiguration", NAMESPACE, "--ignore-not-found")


@pytest.mark.usefixtures("no_deletions")
def test_what_nobody_reckoned_with_is_told_in_the_api_servers_words_too(cluster: Cluster, served: str) -> None:
    cluster.patch("imageclassifiers", served, "photos", {"spec": {"topK": 3}})
    found = cluster.until("imageclassifiers", served, "photos", has("Ready", "False", "ReconcileFailed"))
    assert "failed calling webhook" in condition(found, "Ready")["message"]
    cluster.kubectl("delete", "validatingwebhookconfiguration", NAMESPACE)
    cluster.until("imageclassifiers", served, "photos", has("Ready", "False", "ScaledToZero"))


def test_labels_that_no_config_map_can_hold_are_told(cluster: Cluster, served: str) -> None:
    # As lines they fit into a ConfigMap, and as JSON no more.
    content = f"{'a' * 39}\n" * 25_000
    labels = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "large", "namespace": served}}
    cluster.kubectl("create", "-f", "-", stdin=json.dumps({**labels, "data": {"labels": content}}))
    reference = {"labels": {"inline": None, "configMap": {"name": "large", "key": "labels"}}}
    cluster.apply(classifier("large", served, model=reference, replicas=0))
    found = cluster.until("imageclassifiers", served, "large", has("Ready", "False", "ChildRefused"))
    assert "ConfigMap large-" in condition(found, "Ready")["message"]
    assert "Too long" in condition(found, "Ready")["message"]
