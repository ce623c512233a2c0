"""Nodes that are drained under load."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.e2e import environment
from tests.e2e.classifiers import classifier, has, host, ingress, picture, ready
from tests.e2e.cluster import WITHIN, Cluster, Object
from tests.e2e.environment import Images
from tests.e2e.load import Load
from tests.e2e.test_rollout import load_through_the_service
from tools import cluster as kind

SECONDS = 600
SELECTOR = "imageclassifier.dev/classifier=photos"
ANYWHERE = [{"key": "nvidia.com/gpu", "operator": "Exists"}]


def test_ten_minutes_of_drained_nodes_fail_no_request(
    operator: Cluster, namespace: str, images: Images, figures: dict[str, str]
) -> None:
    kind.Cluster(environment.NAME).load_images(images.server, nodes=[environment.GPU_NODE])
    pods = {"tolerations": ANYWHERE}
    served = classifier("photos", namespace, replicas=3, pod=pods, route=ingress("photos", namespace))
    operator.apply(served, budget(namespace))
    operator.until("imageclassifiers", namespace, "photos", ready)
    operator.until("imageclassifiers", namespace, "photos", has("Progressing", "True"))
    operator.until("imageclassifiers", namespace, "photos", has("RouteReady", "True"))
    drains, ended = 0, time.monotonic() + SECONDS
    with (
        Load(f"{environment.INGRESS}/api/v1/predict", host("photos", namespace), picture("red")) as outside,
        load_through_the_service(operator, f"http://photos.{namespace}.svc/api/v1/predict") as inside,
    ):
        while time.monotonic() < ended:
            node = (environment.NODE, environment.GPU_NODE)[drains % 2]
            with drained(operator, node):
                operator.until("imageclassifiers", namespace, "photos", has("Progressing", "True"))
            drains += 1
    figures["drains"] = str(drains)
    answered = len(outside.seconds) + inside["kept"]["answered"] + inside["new"]["answered"]
    figures["requests answered"] = str(answered)
    failures = [*outside.failures, *inside["kept"]["failures"], *inside["new"]["failures"]]
    figures["requests failed"] = str(len(failures))
    assert failures == []


def budget(namespace: str) -> Object:
    """Return what lets one pod after the other be evicted: the user's to write, as the replicas are."""
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "photos", "namespace": namespace},
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": dict([SELECTOR.split("=")])}},
    }


@contextmanager
def drained(cluster: Cluster, node: str) -> Iterator[None]:
    """Evict the classifier's pods from a node, as `kubectl drain` does, and let none come back in the block."""
    try:
        cluster.kubectl("drain", node, f"--pod-selector={SELECTOR}", "--ignore-daemonsets", "--delete-emptydir-data",
                        f"--timeout={WITHIN}s")  # fmt: skip
        yield
    finally:
        cluster.kubectl("uncordon", node)
