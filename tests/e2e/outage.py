"""A time in which the operator's API server fails, while users go on changing things."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from tests.e2e import environment
from tests.e2e.classifiers import classifier, has, ingress, picture, ready
from tests.e2e.cluster import CHILD_KINDS, Cluster, Object
from tests.e2e.environment import Images
from tests.e2e.faulty_proxy import FaultyProxy
from tools.images import MINIO_REFERENCE

NAMESPACE = "outage"
OFTEN, ALWAYS = 0.5, 1.0


class Outage:
    """An operator of one namespace, as a process of this machine behind a proxy, and what happens to it."""

    def __init__(self, cluster: Cluster, images: Images, folder: Path, seconds: float) -> None:
        self.cluster = cluster
        self.seconds = seconds
        self.log = folder / "operator-in-outage.log"
        self.proxy = FaultyProxy(cluster.server, cluster.tls)
        self._story = threading.Thread(target=self._happen)
        self._ended = threading.Event()
        command = [sys.executable, str(environment.ROOT / "operator" / "main.py")]
        variables = _operator_environment(images, folder, self.proxy.start())
        with self.log.open("w") as log:
            self.operator = subprocess.Popen(command, env=variables, stdout=log, stderr=log)

    def start(self) -> None:
        """Apply eight objects while all is well; then the faults begin."""
        self.cluster.apply(*(self._object(n) for n in range(8)))
        for n in range(8):
            said = has("Ready", "False", "ScaledToZero") if n else ready
            self.cluster.until("imageclassifiers", NAMESPACE, f"c{n}", said)
        self._story.start()

    def join(self) -> None:
        """Wait for the end of the outage; the operator goes on."""
        self._story.join()

    def stop(self) -> None:
        self._ended.set()
        if self._story.ident is not None:
            self._story.join()
        self.operator.kill()
        self.operator.wait()
        self.proxy.stop()

    def _happen(self) -> None:
        started = time.monotonic()
        for share, failing, change in (
            (0.0, OFTEN, self._change),
            (0.11, OFTEN, self._delete_children),
            (0.22, ALWAYS, self._delete_objects),
            (0.39, OFTEN, self._apply_again),
            (0.56, ALWAYS, self._change_back),
            (0.72, OFTEN, self._add),
        ):
            if self._ended.wait(max(0, started + share * self.seconds - time.monotonic())):
                break
            self.proxy.failing = failing
            change()
        self._ended.wait(max(0, started + self.seconds - time.monotonic()))
        self.proxy.failing = 0

    def _object(self, n: int, top_k: int = 1) -> Object:
        name = f"c{n}"
        return classifier(name, NAMESPACE, replicas=int(n == 0), topK=top_k, route=ingress(name, NAMESPACE))

    def _change(self) -> None:
        self.cluster.apply(*(self._object(n, top_k=2) for n in range(4)))

    def _delete_children(self) -> None:
        self.cluster.kubectl(
            "-n", NAMESPACE, "delete", "service/c0", "deployment/c1", "ingress/c2", "sa/c3", "--wait=false"
        )

    def _delete_objects(self) -> None:
        self.cluster.kubectl("-n", NAMESPACE, "delete", "ic/c4", "ic/c5", "ic/c6", "--wait=false")

    def _apply_again(self) -> None:
        self.cluster.apply(self._object(5, top_k=3))

    def _change_back(self) -> None:
        self.cluster.apply(self._object(0, top_k=3), self._object(1, top_k=1))
        self.cluster.kubectl("-n", NAMESPACE, "scale", "ic/c7", "--replicas=1")

    def _add(self) -> None:
        self.cluster.apply(self._object(8, top_k=2))


LEFT = {"c0": 3, "c1": 1, "c2": 2, "c3": 2, "c5": 3, "c7": 1, "c8": 2}
"""The objects that there are after it all, and the topK that each asks for."""

GONE = ("c4", "c6")


@contextmanager
def begin_outage(cluster: Cluster, images: Images, folder: Path, seconds: float) -> Iterator[Outage]:
    """Start the operator and what happens to it; what it said is printed where the block fails."""
    with environment.a_namespace(cluster, NAMESPACE):
        begun = Outage(cluster, images, folder, seconds)
        try:
            begun.start()
            yield begun
        except BaseException:
            print(begun.log.read_text()[-8000:])  # noqa: T201
            raise
        finally:
            begun.stop()


def nothing_is_lost(outage: Outage) -> None:
    """Assert, once the outage is over, that all is as it was asked for."""
    cluster = outage.cluster
    assert outage.operator.poll() is None, "the operator ended"
    for name, top_k in LEFT.items():
        said = ready if name in {"c0", "c7"} else has("Ready", "False", "ScaledToZero")
        cluster.until("imageclassifiers", NAMESPACE, name, said)
        assert _served_top_k(cluster, name) == top_k
        for kind in ("services", "serviceaccounts", "ingresses"):
            cluster.until(kind, NAMESPACE, name, lambda found: found is not None)
    assert len(cluster.predict(NAMESPACE, "c0", picture("red"))["predictions"]) == LEFT["c0"]
    for name in GONE:
        for kind in CHILD_KINDS:
            cluster.until_none(kind, NAMESPACE, f"imageclassifier.dev/classifier={name}")


def _served_top_k(cluster: Cluster, name: str) -> int:
    """Return the topK in the ConfigMap that the Deployment's pods mount."""
    deployment = cluster.get("deployments", NAMESPACE, name)
    assert deployment is not None
    volumes = deployment["spec"]["template"]["spec"]["volumes"]
    (revision,) = [each["configMap"]["name"] for each in volumes if "configMap" in each]
    document = cluster.get("configmaps", NAMESPACE, revision)
    assert document is not None
    return int(json.loads(document["data"]["classifier.json"])["spec"]["topK"])


def _operator_environment(images: Images, folder: Path, url: str) -> dict[str, str]:
    kubeconfig = folder / "through-the-proxy"
    kubeconfig.write_text(yaml.safe_dump(_kubeconfig(url)))
    return {
        **os.environ,
        "KUBECONFIG": str(kubeconfig),
        "OPERATOR_WATCH_NAMESPACE": NAMESPACE,
        "OPERATOR_SERVER_IMAGE_CPU": images.server,
        "OPERATOR_SERVER_IMAGE_GPU": images.gpu,
        "OPERATOR_MLFLOW_IMAGE": images.mlflow,
        "OPERATOR_MINIO_IMAGE": MINIO_REFERENCE,
        "OPERATOR_METRICS_PORT": "19090",
        "OPERATOR_LIVENESS_PORT": "18081",
        "PYTHONPATH": f"{environment.ROOT}/operator:{environment.ROOT}/inference",
    }


def _kubeconfig(url: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "proxy",
        "contexts": [{"name": "proxy", "context": {"cluster": "proxy", "user": "nobody", "namespace": NAMESPACE}}],
        "clusters": [{"name": "proxy", "cluster": {"server": url}}],
        "users": [{"name": "nobody", "user": {}}],
    }
