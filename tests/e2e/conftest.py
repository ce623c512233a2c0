"""One cluster for all tests, made by the process that controls their workers; a namespace for each test."""

import hashlib
import os
import re
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from xdist.remote import Producer

from tests.e2e import environment, order, prepared
from tests.e2e.cluster import Cluster
from tests.e2e.environment import Authority, Images
from tests.e2e.prepared import Prepared
from tools.terminal import CommandError

PREPARED = pytest.StashKey[Prepared]()
STOPWATCH = order.Stopwatch()


def pytest_sessionstart(session: pytest.Session) -> None:
    config = session.config
    if handed := getattr(config, "workerinput", {}).get("prepared"):
        config.stash[PREPARED] = Prepared.from_json(handed)
    elif not config.option.collectonly:
        try:
            config.stash[PREPARED] = prepared.prepare()
        except CommandError as error:
            pytest.exit(str(error), returncode=1)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    node.workerinput["prepared"] = node.config.stash[PREPARED].to_json()


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    if not hasattr(session.config, "workerinput") and (made := session.config.stash.get(PREPARED, None)):
        prepared.remove(made.folder)
        if os.environ.get("E2E_WRITE_TIMES"):
            STOPWATCH.write()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> order.ByGroups:
    config.option.loadscopereorder = False
    return order.ByGroups(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    order.arrange(items)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    STOPWATCH.add(report)


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
        there = cluster.run("kubectl", "get", "ic,pods", "-A", "-o", "wide", check=False).stdout
        report.sections.append(("what there is", there))
    return report


@pytest.fixture(scope="session")
def prepared_run(request: pytest.FixtureRequest) -> Prepared:
    return request.config.stash[PREPARED]


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("e2e")


@pytest.fixture(scope="session")
def cluster(prepared_run: Prepared, folder: Path) -> Iterator[Cluster]:
    with environment.connect(folder) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def images(prepared_run: Prepared) -> Images:
    return prepared_run.images


@pytest.fixture(scope="session")
def authority(prepared_run: Prepared) -> Authority:
    """Files behind HTTPS, and the authority by which pods trust them."""
    return prepared_run.authority


@pytest.fixture(scope="session")
def chart_values(prepared_run: Prepared) -> list[str]:
    return prepared_run.chart_values


@pytest.fixture(scope="session")
def operator(cluster: Cluster, prepared_run: Prepared) -> Cluster:
    """The cluster with the operator in it, watching every namespace."""
    prepared.install_wide_operator(cluster, prepared_run)
    return cluster


@pytest.fixture(scope="session")
def no_wide_operator(cluster: Cluster, prepared_run: Prepared) -> Cluster:
    """The cluster with no operator but those that tests install into their namespaces."""
    prepared.remove_wide_operator(cluster, prepared_run)
    return cluster


@pytest.fixture
def namespace(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace of the test's own, where only restricted pods may run."""
    words = re.sub(r"[^a-z0-9]+", "-", request.node.name.removeprefix("test_").lower()).strip("-")
    name = f"{words[:40].strip('-')}-{hashlib.sha256(request.node.name.encode()).hexdigest()[:6]}"
    with environment.a_namespace(cluster, name):
        yield name
