"""A classifier whose predictions are logged, and what happens to it and to its stores."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.e2e import environment, sinks
from tests.e2e.classifiers import classifier, condition, has, host, ingress, is_ready, merged, picture, ready
from tests.e2e.cluster import Cluster, Object
from tests.e2e.load import Load
from tests.e2e.sinks import MANAGED
from tests.integration.prediction_log.stores import wait_until

LOG = {"window": "5s"}
KILL_RECORDER = (
    "import os, signal; [os.kill(int(p), signal.SIGKILL) for p in open('/proc/1/task/1/children').read().split()]"
)


@contextmanager
def shared_sinks(cluster: Cluster, namespace: str) -> Iterator[str]:
    """Create a namespace with an MLflow and a MinIO, which an object without pods keeps there."""
    with environment.a_namespace(cluster, namespace):
        cluster.apply(classifier("keeper", namespace, replicas=0, **MANAGED))
        sinks.await_sinks(cluster, namespace)
        yield namespace


@dataclass(frozen=True)
class Logged:
    """An object by its name, and what is done with it."""

    cluster: Cluster
    namespace: str
    name: str

    def start(self, **spec: object) -> None:
        """Apply an object that logs, and wait until it is ready."""
        own = ingress(self.name, self.namespace)
        wanted = merged({**MANAGED, "predictionLog": LOG, "route": own}, dict(spec))
        self.cluster.apply(classifier(self.name, self.namespace, **wanted))
        self.until(ready)

    def delete(self) -> None:
        self.cluster.kubectl("-n", self.namespace, "delete", f"ic/{self.name}", "--ignore-not-found", "--wait=false")

    def until(self, holds: Callable[[Object | None], bool]) -> Object:
        found = self.cluster.until("imageclassifiers", self.namespace, self.name, holds)
        assert found is not None
        return found

    @property
    def status(self) -> Object:
        found = self.cluster.get("imageclassifiers", self.namespace, self.name)
        assert found is not None
        status: Object = found["status"]
        return status

    def predict(self, count: int = 1) -> list[str]:
        """Classify some pictures; return the request ids."""
        answers = (self.cluster.predict(self.namespace, self.name, picture("red")) for _ in range(count))
        return [answer["request_id"] for answer in answers]

    def await_logged(self, wanted: list[str]) -> list[str]:
        """Wait until all the request ids are logged; return all that are, as often as they are."""
        return sinks.await_logged(self.cluster, self.namespace, self.name, wanted)

    def load(self) -> Load:
        route = f"{environment.INGRESS}/api/v1/predict"
        return Load(route, host(self.name, self.namespace), picture("red"))

    def delete_pod(self) -> None:
        """Delete the object's one pod, and wait until it is gone and the Service leads to its successor."""
        (pod,) = self._find_pods()
        self.cluster.kubectl("-n", self.namespace, "delete", f"pod/{pod}")
        self.cluster.until_some("pods", self.namespace, self._selector, is_ready)
        wait_until(lambda: self.cluster.leads_to_a_pod(self.namespace, self.name), "an endpoint")

    @contextmanager
    def killed_recorders(self, seconds: float) -> Iterator[list[str]]:
        """Kill the recorder of every pod by SIGKILL now and then while the block runs; yield what was killed."""
        killed: list[str] = []
        ended = threading.Event()

        def kill_on() -> None:
            while not ended.wait(seconds):
                for pod in self._find_pods():
                    command = ["exec", pod, "-c", "recorder", "--", "python", "-c", KILL_RECORDER]
                    self.cluster.run("kubectl", "-n", self.namespace, *command)
                    killed.append(pod)

        thread = threading.Thread(target=kill_on)
        thread.start()
        try:
            yield killed
        finally:
            ended.set()
            thread.join()

    @property
    def _selector(self) -> str:
        return f"imageclassifier.dev/classifier={self.name}"

    def _find_pods(self) -> list[str]:
        found = self.cluster.find("pods", self.namespace, self._selector)
        return [pod["metadata"]["name"] for pod in found]


@dataclass
class Outage:
    """What was seen while the stores were away: the seconds of each request, before and then."""

    killed: int
    requests: int
    before: list[float] = field(repr=False)
    away: list[float] = field(repr=False)


def take_the_stores_away(logged: Logged, seconds: float, kill_seconds: float) -> Outage:
    """Assert that no request fails, and none is lost, while the stores are away and the recorder is killed."""
    cluster, namespace = logged.cluster, logged.namespace
    logged.start()
    logged.until(has("RouteReady", "True"))
    with logged.load() as sent:
        threading.Event().wait(seconds / 6)
        before = len(sent.seconds)
        sinks.stop_sinks(cluster, namespace)
        # A recorder that has just begun has nothing to say yet.
        logged.until(lambda found: condition(found, "TrackingReady").get("status") != "True")
        with logged.killed_recorders(kill_seconds) as killed:
            # What is measured is a length of time.
            threading.Event().wait(seconds)
            away = len(sent.seconds)
            sinks.start_sinks(cluster, namespace)
            threading.Event().wait(2 * kill_seconds)
    assert sent.failures == []
    assert killed
    found = logged.await_logged(sent.ids)
    assert len(found) == len(set(found))
    # Those that went before, until the route was known.
    assert len(set(found) - set(sent.ids)) <= 2
    logged.until(has("TrackingReady", "True"))
    return Outage(len(killed), len(sent.ids), sent.seconds[:before], sent.seconds[before:away])
