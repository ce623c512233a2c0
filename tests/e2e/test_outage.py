"""Three minutes of 500s and cut watches lose nothing."""

import json

from tests.e2e import outage as story
from tests.e2e.classifiers import has, picture, ready
from tests.e2e.cluster import CHILD_KINDS, Cluster
from tests.e2e.outage import NAMESPACE, Outage

SETTLED_WITHIN = 60


def test_three_minutes_of_failures_lose_nothing(cluster: Cluster, outage: Outage) -> None:
    outage.join()
    assert outage.operator.poll() is None, "the operator ended"
    assert outage.proxy.failed > 100
    assert outage.proxy.cut > 10
    for name, top_k in story.LEFT.items():
        serves = name in {"c0", "c7"}
        said = ready if serves else has("Ready", "False", "ScaledToZero")
        cluster.until("imageclassifiers", NAMESPACE, name, said, within=SETTLED_WITHIN)
        assert served_top_k(cluster, name) == top_k
        for kind in ("services", "serviceaccounts", "ingresses"):
            cluster.until(kind, NAMESPACE, name, lambda found: found is not None, within=SETTLED_WITHIN)
    assert len(cluster.predict(NAMESPACE, "c0", picture("red"))["predictions"]) == story.LEFT["c0"]
    for name in story.GONE:
        for kind in CHILD_KINDS:
            cluster.until_none(kind, NAMESPACE, f"imageclassifier.dev/classifier={name}", within=SETTLED_WITHIN)


def served_top_k(cluster: Cluster, name: str) -> int:
    """Return the topK in the ConfigMap that the Deployment's pods mount."""
    deployment = cluster.get("deployments", NAMESPACE, name)
    assert deployment is not None
    volumes = deployment["spec"]["template"]["spec"]["volumes"]
    (revision,) = [each["configMap"]["name"] for each in volumes if "configMap" in each]
    document = cluster.get("configmaps", NAMESPACE, revision)
    assert document is not None
    return int(json.loads(document["data"]["classifier.json"])["spec"]["topK"])
