"""Classifiers on GPUs, on a cluster whose one GPU node is tainted and only pretends."""

from collections.abc import Iterator

import pytest

from tests.e2e import environment
from tests.e2e.classifiers import classifier, condition, has, picture, ready
from tests.e2e.cluster import Cluster, Object

CUDA = {"device": "cuda"}
SELECTOR = "imageclassifier.dev/classifier"


@pytest.fixture
def gpu_free(operator: Cluster) -> Iterator[None]:
    """Give the one GPU back before the next test asks for it."""
    yield
    operator.kubectl("delete", "ic", "--all-namespaces", "--field-selector", "metadata.name=cuda")
    operator.until_none("pods", "", f"{SELECTOR}=cuda")


def scheduled(cluster: Cluster, namespace: str, name: str) -> Object:
    return cluster.until_some("pods", namespace, f"{SELECTOR}={name}", lambda pod: bool(pod["spec"].get("nodeName")))


@pytest.mark.usefixtures("gpu_free")
def test_a_cuda_pod_lands_on_the_gpu_node_and_a_second_is_told_that_none_is_free(
    operator: Cluster, namespace: str, images: environment.Images
) -> None:
    operator.apply(classifier("cuda", namespace, runtime=CUDA))
    pod = scheduled(operator, namespace, "cuda")
    assert pod["spec"]["nodeName"] == environment.GPU_NODE
    server = next(each for each in pod["spec"]["containers"] if each["name"] == "server")
    assert server["image"] == images.gpu
    assert server["resources"]["limits"]["nvidia.com/gpu"] == "1"
    operator.apply(classifier("second", namespace, runtime=CUDA))
    found = operator.until("imageclassifiers", namespace, "second", has("Ready", "False", "Unschedulable"))
    assert "nvidia.com/gpu" in condition(found, "Ready")["message"]
    # There is no GPU behind the name: the server says so, and does not go on without.
    found = operator.until("imageclassifiers", namespace, "cuda", has("Ready", "False", "DeviceUnavailable"))
    assert condition(found, "Ready")["message"]


def test_a_cpu_pod_stays_off_the_gpu_node(operator: Cluster, namespace: str) -> None:
    operator.apply(classifier("photos", namespace, replicas=2))
    operator.until("imageclassifiers", namespace, "photos", ready)
    nodes = {pod["spec"]["nodeName"] for pod in operator.find("pods", namespace, f"{SELECTOR}=photos")}
    assert nodes == {environment.NODE}
    assert operator.predict(namespace, "photos", picture("red"))["predictions"][0]["label"] == "red"


@pytest.mark.usefixtures("gpu_free")
def test_with_one_gpu_recreate_lets_the_next_revision_have_it(operator: Cluster, namespace: str) -> None:
    operator.apply(classifier("cuda", namespace, runtime=CUDA, rollout={"strategy": "Recreate"}, topK=1))
    old = scheduled(operator, namespace, "cuda")
    operator.patch("imageclassifiers", namespace, "cuda", {"spec": {"topK": 2}})
    operator.until_some(
        "pods",
        namespace,
        f"{SELECTOR}=cuda",
        lambda pod: pod["metadata"]["uid"] != old["metadata"]["uid"] and bool(pod["spec"].get("nodeName")),
    )


def test_a_slice_of_a_gpu_is_asked_for_by_its_name(operator: Cluster, namespace: str) -> None:
    gpu = {"resource": "nvidia.com/mig-1g.10gb"}
    operator.apply(classifier("photos", namespace, runtime={**CUDA, "gpu": gpu}))
    pod = scheduled(operator, namespace, "photos")
    assert pod["spec"]["nodeName"] == environment.GPU_NODE
    server = next(each for each in pod["spec"]["containers"] if each["name"] == "server")
    assert server["resources"]["limits"]["nvidia.com/mig-1g.10gb"] == "1"
