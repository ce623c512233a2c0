"""One cluster for all tests; a namespace for each."""

import hashlib
import os
import re
import shutil
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from tests.e2e import environment
from tests.e2e.cluster import Cluster
from tests.e2e.environment import Authority, Images
from tests.e2e.outage import NAMESPACE, Outage

LAST = ["test_releases", "test_failures", "test_outage", "test_at_rest", "test_crd"]
"""What takes the operator, and then the CRD, away from the others. Times are measured when the outage is over."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: LAST.index(item.path.stem) if item.path.stem in LAST else -1)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what the operator said, and what there was, beside what failed."""
    report = yield
    arguments: dict[str, object] = getattr(item, "funcargs", {})
    cluster = arguments.get("cluster") or arguments.get("operator")
    if report.failed and isinstance(cluster, Cluster):
        for each in cluster.find("deployments", "", "app.kubernetes.io/name=imageclassifier-operator"):
            where = each["metadata"]["namespace"]
            logs = ["kubectl", "-n", where, "logs", f"deployment/{each['metadata']['name']}", "--tail=30"]
            report.sections.append((f"the operator's log in {where}", cluster.run(*logs, check=False).stdout))
        outage = arguments.get("outage")
        if isinstance(outage, Outage):
            report.sections.append(("the operator's log in the outage", outage.log.read_text()[-8000:]))
        there = cluster.run("kubectl", "get", "ic,pods", "-A", "-o", "wide", check=False).stdout
        report.sections.append(("what there is", there))
    return report


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("e2e")


@pytest.fixture(scope="session")
def images_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tiny")


@pytest.fixture(scope="session")
def kind_cluster(folder: Path, images_folder: Path) -> Iterator[tuple[Cluster, Images]]:
    if shutil.which("kind") is None or shutil.which("docker") is None:
        pytest.fail("the end-to-end tests need docker and kind")
    made = environment.create_cluster(folder)
    try:
        built = environment.build_images(images_folder)
        environment.load_images(made, built)
        made.install_traefik()
        with environment.connect(folder) as cluster:
            yield cluster, built
    finally:
        if not os.environ.get("E2E_KEEP"):
            made.delete()


@pytest.fixture(scope="session")
def cluster(kind_cluster: tuple[Cluster, Images]) -> Cluster:
    return kind_cluster[0]


@pytest.fixture(scope="session")
def images(kind_cluster: tuple[Cluster, Images]) -> Images:
    return kind_cluster[1]


@pytest.fixture(scope="session")
def authority(cluster: Cluster, images: Images, images_folder: Path) -> Authority:
    """Files behind HTTPS, and the authority by which pods trust them."""
    return environment.serve_files(cluster, images.server, images_folder)


@pytest.fixture(scope="session")
def chart_values(images: Images, authority: Authority) -> list[str]:
    return environment.chart_values(images, authority)


@pytest.fixture(scope="session")
def operator(cluster: Cluster, chart_values: list[str]) -> Cluster:
    """The cluster with the operator in it, watching every namespace."""
    environment.uninstall_every_operator(cluster)
    _remove_leftovers(cluster)
    environment.install_operator(cluster, environment.RELEASE, environment.SYSTEM, *chart_values)
    return cluster


@pytest.fixture(scope="session")
def outage(operator: Cluster, images: Images, folder: Path) -> Iterator[Outage]:
    """Three minutes of an API server that fails, which begin here: other tests go on meanwhile."""
    environment.uninstall_every_operator(operator)
    environment.create_namespace(operator, NAMESPACE)
    begun = Outage(operator, images, folder)
    try:
        begun.start()
        yield begun
    finally:
        begun.stop()


@pytest.fixture
def namespace(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace of the test's own, where only restricted pods may run."""
    words = re.sub(r"[^a-z0-9]+", "-", request.node.name.removeprefix("test_").lower()).strip("-")
    name = f"{words[:40].strip('-')}-{hashlib.sha256(request.node.name.encode()).hexdigest()[:6]}"
    with environment.a_namespace(cluster, name):
        yield name


def _remove_leftovers(cluster: Cluster) -> None:
    cluster.kubectl("delete", "namespace", "-l", "e2e=true", "--wait")
    cluster.kubectl("delete", "crd", "imageclassifiers.imageclassifier.dev", "--ignore-not-found", "--wait")
