"""Releases of the chart: upgraded, uninstalled, installed under another name."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e import environment
from tests.e2e.classifiers import classifier, picture, ready
from tests.e2e.cluster import Cluster, Object
from tests.e2e.environment import CRD, RELEASE, SYSTEM, Images, install_operator

OTHER = "other"
VARIABLE = {"name": "OTEL_SERVICE_NAME", "value": "photos"}


@pytest.fixture(scope="module")
def served(operator: Cluster) -> Iterator[str]:
    with environment.a_namespace(operator, "releases") as name:
        operator.apply(classifier("photos", name))
        operator.until("imageclassifiers", name, "photos", ready)
        yield name


def pods(cluster: Cluster, namespace: str) -> list[Object]:
    return cluster.find("pods", namespace, "imageclassifier.dev/classifier=photos")


def is_newer(pod: Object, images: Images) -> bool:
    server = pod["spec"]["containers"][0]
    return server["image"] == images.next_server and VARIABLE in server["env"]


def test_an_upgrade_leaves_pods_alone_until_their_spec_changes(
    operator: Cluster, served: str, images: Images, chart_values: list[str]
) -> None:
    before = operator.get("deployments", served, "photos")
    newer = ["--set-string", f"serverImages.cpu={images.next_server},serverEnv.{VARIABLE['name']}={VARIABLE['value']}"]
    install_operator(operator, RELEASE, SYSTEM, *chart_values, *newer)
    # An object that is made after the upgrade is served by the newer image; by then the older one has been looked at.
    operator.apply(classifier("after", served))
    operator.until("imageclassifiers", served, "after", ready)
    after = operator.get("deployments", served, "photos")
    assert before is not None
    assert after is not None
    assert after["spec"] == before["spec"]
    operator.patch("imageclassifiers", served, "photos", {"spec": {"topK": 2}})
    operator.until("imageclassifiers", served, "photos", ready)
    operator.until_some("pods", served, "imageclassifier.dev/classifier=photos",
                        lambda pod: is_newer(pod, images))  # fmt: skip


def test_an_upgrade_upgrades_the_crd(operator: Cluster, chart_values: list[str], tmp_path: Path) -> None:
    newer = shutil.copytree(environment.CHART, tmp_path / "chart")
    crd = newer / "files" / "crd.yaml"
    crd.write_text(crd.read_text().replace("shortNames:\n", "shortNames:\n    - newer\n", 1))
    install_operator(operator, RELEASE, SYSTEM, *chart_values, chart=newer)
    found = operator.get("customresourcedefinitions", "", CRD)
    assert found is not None
    assert "newer" in found["spec"]["names"]["shortNames"]
    install_operator(operator, RELEASE, SYSTEM, *chart_values)


def test_uninstalling_leaves_the_classifiers_serving_and_another_name_takes_them_over(
    operator: Cluster, served: str, chart_values: list[str]
) -> None:
    operator.run("helm", "uninstall", RELEASE, "--namespace", SYSTEM, "--wait")
    assert operator.get("customresourcedefinitions", "", CRD) is not None
    assert operator.predict(served, "photos", picture("red"))["predictions"][0]["label"] == "red"
    notes = install_operator(operator, OTHER, "elsewhere", *chart_values)
    assert f"made by the release {SYSTEM}/{RELEASE}" in notes
    operator.patch("imageclassifiers", served, "photos", {"spec": {"topK": 1}})
    operator.until("imageclassifiers", served, "photos", ready)
    owner = [f"meta.helm.sh/release-name={OTHER}", "meta.helm.sh/release-namespace=elsewhere"]
    operator.kubectl("annotate", "crd", CRD, "--overwrite", *owner)
    notes = install_operator(operator, OTHER, "elsewhere", *chart_values)
    assert "made by the release" not in notes
    assert "CustomResourceDefinition" in operator.run("helm", "get", "manifest", OTHER, "-n", "elsewhere").stdout
