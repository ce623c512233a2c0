"""Three minutes in which the operator's API server fails, while users go on changing things."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import yaml

from tests.e2e import environment
from tests.e2e.classifiers import classifier, has, ingress, ready
from tests.e2e.cluster import Cluster, Object
from tests.e2e.environment import Images
from tests.e2e.faulty_proxy import FaultyProxy
from tools.images import MINIO_REFERENCE

NAMESPACE = "outage"
SECONDS = 180
STARTED_WITHIN = 180
OFTEN, ALWAYS = 0.5, 1.0


class Outage:
    """An operator of one namespace, as a process of this machine behind a proxy, and what happens to it."""

    def __init__(self, cluster: Cluster, images: Images, folder: Path) -> None:
        self.cluster = cluster
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
            self.cluster.until("imageclassifiers", NAMESPACE, f"c{n}", said, within=STARTED_WITHIN)
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
        for at, failing, change in (
            (0, OFTEN, self._change),
            (20, OFTEN, self._delete_children),
            (40, ALWAYS, self._delete_objects),
            (70, OFTEN, self._apply_again),
            (100, ALWAYS, self._change_back),
            (130, OFTEN, self._add),
        ):
            if self._ended.wait(max(0, started + at - time.monotonic())):
                break
            self.proxy.failing = failing
            change()
        self._ended.wait(max(0, started + SECONDS - time.monotonic()))
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
