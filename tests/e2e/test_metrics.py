"""A Prometheus that knows nothing but the standard annotations finds the operator and the servers."""

import threading
import time
from collections.abc import Iterator

import pytest

from tests.e2e import environment
from tests.e2e.classifiers import classifier, picture, ready
from tests.e2e.cluster import Cluster, Object

SCRAPED_WITHIN = 60
SERVER = ("classifier_request_duration_seconds_bucket", "classifier_model_info", "classifier_requests_total")
OPERATOR = ("imageclassifier_reconciles_total", "imageclassifier_reconcile_duration_seconds_bucket")


@pytest.fixture(scope="module")
def watched(operator: Cluster) -> Iterator[str]:
    """A namespace with a classifier that has answered once, and a Prometheus."""
    with environment.a_namespace(operator, "metrics") as name:
        operator.apply(classifier("photos", name))
        manifest = (environment.HERE / "in_cluster" / "prometheus.yaml").read_text().replace("NAMESPACE", name)
        operator.kubectl("-n", name, "apply", "-f", "-", stdin=manifest)
        operator.kubectl("-n", name, "wait", "pod/prometheus", "--for=condition=Ready", "--timeout=60s")
        operator.until("imageclassifiers", name, "photos", ready)
        operator.predict(name, "photos", picture("red"))
        yield name


def query(cluster: Cluster, namespace: str, expression: str) -> list[Object]:
    path = f"/api/v1/namespaces/{namespace}/pods/prometheus:9090/proxy/api/v1/query"
    answer = cluster.api.get(path, params={"query": expression})
    assert answer.is_success, answer.text
    results: list[Object] = answer.json()["data"]["result"]
    return results


def query_soon(cluster: Cluster, namespace: str, expression: str) -> list[Object]:
    """Ask until Prometheus, which can't be watched but scrapes each second, has something to say."""
    deadline = time.monotonic() + SCRAPED_WITHIN
    while not (found := query(cluster, namespace, expression)) and time.monotonic() < deadline:
        threading.Event().wait(0.5)
    return found


def test_the_operator_and_the_server_are_found_up(operator: Cluster, watched: str) -> None:
    for namespace, pod in ((watched, "photos-.*"), (environment.SYSTEM, f"{environment.OPERATOR}-.*")):
        found = query_soon(operator, watched, f'up{{namespace="{namespace}", pod=~"{pod}"}} == 1')
        assert len(found) == 1, f"{namespace}/{pod}: {found}"
    assert not query(operator, watched, "up == 0")


@pytest.mark.parametrize("metric", [*SERVER, *OPERATOR])
def test_what_dashboards_need_is_scraped(operator: Cluster, watched: str, metric: str) -> None:
    assert query_soon(operator, watched, metric)


def test_latency_is_told_by_stage(operator: Cluster, watched: str) -> None:
    found = query_soon(operator, watched, "sum by (stage) (classifier_request_duration_seconds_count) > 0")
    assert {each["metric"]["stage"] for each in found} >= {"decode", "queue", "infer", "total"}


def test_the_model_is_told(operator: Cluster, watched: str) -> None:
    (found,) = query_soon(operator, watched, f'classifier_model_info{{namespace="{watched}"}}')
    served = operator.get("imageclassifiers", watched, "photos")
    assert served is not None
    assert found["metric"]["sha256"] == served["status"]["model"]["sha256"]


def test_promtool_finds_nothing_to_say(operator: Cluster, watched: str) -> None:
    (server,) = operator.find("pods", watched, "imageclassifier.dev/classifier=photos")
    (own,) = operator.find("pods", environment.SYSTEM, f"app.kubernetes.io/instance={environment.RELEASE}")
    for namespace, pod, port in ((watched, server, 9000), (environment.SYSTEM, own, 9090)):
        name = pod["metadata"]["name"]
        exposed = operator.api.get(f"/api/v1/namespaces/{namespace}/pods/{name}:{port}/proxy/metrics").text
        said = operator.run(
            "kubectl", "-n", watched, "exec", "-i", "prometheus", "--", "promtool", "check", "metrics",
            stdin=exposed, check=False,
        )  # fmt: skip
        assert said.returncode == 0, said.stdout + said.stderr
        assert not said.stdout + said.stderr
