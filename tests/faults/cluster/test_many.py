"""Hundreds of objects: how long they take, what the operator takes, and that it leaves them in peace."""

import re
import threading
import time
from datetime import UTC, datetime

from tests.e2e import environment
from tests.e2e.classifiers import classifier, has, ingress
from tests.e2e.cluster import Cluster, Object
from tests.e2e.own_operator.test_at_rest import writes

REST = 120
SELECTOR = f"app.kubernetes.io/instance={environment.RELEASE}"
COPIED = {
    "serviceaccounts": ("v1", "ServiceAccount"),
    "configmaps": ("v1", "ConfigMap"),
    "deployments": ("apps/v1", "Deployment"),
    "services": ("v1", "Service"),
    "ingresses": ("networking.k8s.io/v1", "Ingress"),
}
OF_THE_CLUSTER = ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy")
settled = has("Ready", "False", "ScaledToZero")


def test_twenty_objects_get_their_children(
    no_wide_operator: Cluster, chart_values: list[str], figures: dict[str, str]
) -> None:
    cluster, own, copies = no_wide_operator, "faults-twenty", "faults-twenty-copies"
    with environment.a_namespace(cluster, own), environment.a_namespace(cluster, copies):
        environment.install_namespaced_operator(cluster, own, *chart_values)
        seconds = settle(cluster, own, 20)
        children = [
            copy_of(item, kind, copies)
            for kind in COPIED
            for item in cluster.find(kind, own, "imageclassifier.dev/classifier")
        ]
        started = time.monotonic()
        cluster.apply(*children)
        by_kubectl = time.monotonic() - started
        figures["until all said ScaledToZero"] = f"{seconds:.1f} s"
        figures["kubectl, for the same children"] = f"{by_kubectl:.1f} s"
        figures["ratio"] = f"{seconds / by_kubectl:.2f}"
        assert len(children) >= 20 * 4


def test_three_hundred_objects_are_made_and_then_left_in_peace(
    no_wide_operator: Cluster, chart_values: list[str], figures: dict[str, str]
) -> None:
    cluster, own = no_wide_operator, "faults-hundreds"
    with environment.a_namespace(cluster, own):
        environment.install_namespaced_operator(cluster, own, *chart_values)
        before = usage(cluster, own)
        figures["until all said ScaledToZero"] = f"{settle(cluster, own, 300):.0f} s"
        # The last writes to status bring about a last look.
        threading.Event().wait(REST / 4)
        busy, since = usage(cluster, own), datetime.now(UTC).isoformat()
        # What is measured is a length of time.
        threading.Event().wait(REST)
        rest = usage(cluster, own)
        figures["processor until then"] = f"{busy['cpu'] - before['cpu']:.1f} s"
        figures["processor at rest"] = f"{(rest['cpu'] - busy['cpu']) / REST:.3f} cores"
        figures["resident"] = f"{before['memory']:.0f} MiB before, {rest['memory']:.0f} at rest"
        written = writes(since, own)
        figures[f"writes in {REST} s of rest"] = str(len(written))
        assert written == []


def settle(cluster: Cluster, namespace: str, count: int) -> float:
    """Apply so many objects without pods; return the seconds until each says that it has none."""
    objects = [
        classifier(f"c{n}", namespace, replicas=0, topK=n % 3 + 1, route=ingress(f"c{n}", namespace))
        for n in range(count)
    ]
    started = time.monotonic()
    cluster.apply(*objects)
    for n in range(count):
        cluster.until("imageclassifiers", namespace, f"c{n}", settled, within=1800)
    return time.monotonic() - started


def copy_of(item: Object, kind: str, namespace: str) -> Object:
    """Return what somebody would have had to write to get the same child."""
    version, name = COPIED[kind]
    metadata = {key: item["metadata"][key] for key in ("name", "labels") if key in item["metadata"]}
    spec = {key: value for key, value in item.get("spec", {}).items() if key not in OF_THE_CLUSTER}
    rest: Object = {key: item[key] for key in ("data", "automountServiceAccountToken") if key in item}
    made: Object = {"apiVersion": version, "kind": name, "metadata": {**metadata, "namespace": namespace}, **rest}
    return {**made, "spec": spec} if spec else made


def usage(cluster: Cluster, namespace: str) -> dict[str, float]:
    """Return the operator's processor seconds since its start, and its resident memory in MiB."""
    (pod,) = cluster.find("pods", namespace, SELECTOR)
    said = cluster.api.get(f"/api/v1/namespaces/{namespace}/pods/{pod['metadata']['name']}:9090/proxy/metrics").text
    return {
        "cpu": read_metric(said, "process_cpu_seconds_total"),
        "memory": read_metric(said, "process_resident_memory_bytes") / 2**20,
    }


def read_metric(said: str, name: str) -> float:
    found = re.search(rf"^{name} (\S+)$", said, re.MULTILINE)
    assert found is not None, said[:500]
    return float(found[1])
