"""An operator whose CRD is missing or older says so, and goes on once it isn't."""

from collections.abc import Callable
from subprocess import PIPE, Popen

import pytest
import yaml

from tests.e2e import environment
from tests.e2e.classifiers import classifier
from tests.e2e.cluster import Cluster, Object
from tests.e2e.environment import CRD, CRD_FILE

NAMESPACE = "without-crd"


def missing(cluster: Cluster, crd: Object) -> None:
    cluster.kubectl("delete", "crd", CRD, "--ignore-not-found", "--wait")


def older(cluster: Cluster, crd: Object) -> None:
    spec = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    del spec["properties"]["topK"]
    cluster.apply(crd)


@pytest.mark.usefixtures("no_wide_operator")
@pytest.mark.parametrize(("make", "said"), [(missing, "has no ImageClassifier"), (older, "lacks spec.topK")])
def test_a_crd_that_does_not_fit_is_named_and_waited_for(
    cluster: Cluster, chart_values: list[str], make: Callable[[Cluster, Object], None], said: str
) -> None:
    environment.uninstall_every_operator(cluster)
    missing(cluster, {})
    environment.create_namespace(cluster, NAMESPACE)
    make(cluster, yaml.safe_load(CRD_FILE.read_text()))
    environment.install_namespaced_operator(cluster, NAMESPACE, *chart_values, wait=False)
    selector = "app.kubernetes.io/instance=operator"
    cluster.until_some("pods", NAMESPACE, selector, lambda pod: pod["status"]["phase"] == "Running")
    assert said in first_line_with(cluster, "CRD")
    environment.apply_crd(cluster)
    cluster.apply(classifier("photos", NAMESPACE, replicas=0))
    cluster.until("deployments", NAMESPACE, "photos", lambda found: found is not None)


def first_line_with(cluster: Cluster, word: str) -> str:
    """Follow the operator's log until a line has the word."""
    command = ["timeout", "60", "kubectl", "--kubeconfig", str(cluster.kubeconfig), "-n", NAMESPACE, "logs", "-f",
               f"deployment/{environment.OPERATOR}"]  # fmt: skip
    with Popen(command, stdout=PIPE, text=True) as process:
        assert process.stdout is not None
        found = next((line for line in process.stdout if word in line), "")
        process.terminate()
    return found
