"""The cluster as the tests use it: kubectl as a user would, and watches to await what they caused.

Nothing here sleeps until something is so: `until` and `Recording` are told by the API server when it is.
"""

import itertools
import json
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import yaml

from tests.e2e.recording import Event, Object, Recording
from tests.e2e.tls import client_context

__all__ = ["CHILD_KINDS", "WITHIN", "Cluster", "Event", "Object", "Recording"]

WITHIN = 180
"""Seconds that whatever is awaited may take: what takes longer hangs, on a machine that does other things too."""

GROUP_OF = {
    "imageclassifiers": "apis/imageclassifier.dev/v1alpha1",
    "deployments": "apis/apps/v1",
    "replicasets": "apis/apps/v1",
    "statefulsets": "apis/apps/v1",
    "ingresses": "apis/networking.k8s.io/v1",
    "customresourcedefinitions": "apis/apiextensions.k8s.io/v1",
}
CHILD_KINDS = ("deployments", "services", "serviceaccounts", "ingresses", "configmaps", "replicasets", "pods")


class Cluster:
    """A cluster by its kubeconfig file."""

    def __init__(self, kubeconfig: Path) -> None:
        self.kubeconfig = kubeconfig
        config = yaml.safe_load(kubeconfig.read_text())
        self.server = config["clusters"][0]["cluster"]["server"]
        self.tls = client_context(config)
        limits = httpx2.Limits(max_connections=200, max_keepalive_connections=50)
        self.api = httpx2.Client(
            base_url=self.server, verify=self.tls, timeout=httpx2.Timeout(30, read=None), limits=limits, trust_env=False
        )

    def run(self, *command: str, stdin: str | None = None, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command against this cluster; one that fails, fails the test with what it said."""
        environment = {**os.environ, "KUBECONFIG": str(self.kubeconfig)}
        done = subprocess.run(command, input=stdin, text=True, capture_output=True, env=environment, check=False)
        if check and done.returncode != 0:
            raise AssertionError(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
        return done

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        return self.run("kubectl", *arguments, stdin=stdin).stdout

    def apply(self, *objects: Object) -> None:
        """`kubectl apply` the objects, all in one go."""
        self.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))

    def refuse(self, document: Object) -> str:
        """Return what `kubectl apply` says of an object that it must not take."""
        done = self.run("kubectl", "apply", "-f", "-", stdin=json.dumps(document), check=False)
        assert done.returncode != 0, f"was taken: {json.dumps(document['spec'])}"
        return done.stderr

    def try_to_create(self, kind: str, document: Object) -> httpx2.Response:
        """Return what the API server would say to whoever creates an object; nothing is made."""
        path = _path(kind, document["metadata"]["namespace"])
        return self.api.post(path, params={"dryRun": "All", "fieldValidation": "Strict"}, json=document)

    def get(self, kind: str, namespace: str, name: str) -> Object | None:
        answer = self.api.get(f"{_path(kind, namespace)}/{name}")
        if answer.status_code == 404:
            return None
        answer.raise_for_status()
        found: Object = answer.json()
        return found

    def find(self, kind: str, namespace: str, selector: str = "") -> list[Object]:
        items: list[Object] = self._list(kind, namespace, {"labelSelector": selector})["items"]
        return items

    def children(self, namespace: str, name: str) -> dict[str, list[str]]:
        """Return the names of all that was made for a classifier, by kind; no kind of which there is nothing."""
        found = {
            kind: [
                item["metadata"]["name"]
                for item in self.find(kind, namespace, f"imageclassifier.dev/classifier={name}")
            ]
            for kind in CHILD_KINDS
        }
        return {kind: names for kind, names in found.items() if names}

    def patch(self, kind: str, namespace: str, name: str, patch: Any) -> Object:
        """Send a merge patch (an object) or a JSON patch (a list)."""
        content = "application/json-patch+json" if isinstance(patch, list) else "application/merge-patch+json"
        answer = self.api.patch(
            f"{_path(kind, namespace)}/{name}", content=json.dumps(patch), headers={"Content-Type": content}
        )
        assert answer.is_success, answer.text
        patched: Object = answer.json()
        return patched

    def leads_to_a_pod(self, namespace: str, service: str) -> bool:
        """Return whether a Service has an endpoint, as the API server sees it: a moment after its pod is ready."""
        return self.api.get(f"{_through(namespace, service)}/readyz").status_code == 200

    def predict(self, namespace: str, name: str, picture: bytes) -> Object:
        """Classify through the Service, by way of the API server."""
        answer = self.api.post(f"{_through(namespace, name)}/api/v1/predict", content=picture)
        assert answer.status_code == 200, answer.text
        said: Object = answer.json()
        return said

    def until(
        self,
        kind: str,
        namespace: str,
        name: str,
        holds: Callable[[Object | None], bool],
        within: float = WITHIN,
    ) -> Object | None:
        """Wait, on a watch, until something holds of an object (None: it isn't there), and return the object."""
        deadline = time.monotonic() + within
        only = {"fieldSelector": f"metadata.name={name}"}
        last: Object | None = None
        while (left := deadline - time.monotonic()) > 0:
            found = self._list(kind, namespace, only)
            last = next(iter(found["items"]), None)
            if holds(last):
                return last
            for event in self.watch(kind, namespace, found["metadata"]["resourceVersion"], left, only):
                last = None if event.type == "DELETED" else event.object
                if holds(last):
                    return last
        raise AssertionError(f"{kind} {namespace}/{name}: not so within {within} s; last seen:\n{_brief(last)}")

    def until_some(
        self, kind: str, namespace: str, selector: str, holds: Callable[[Object], bool], within: float = WITHIN
    ) -> Object:
        """Wait, on a watch, until something holds of one of those that carry the labels, and return that one."""
        deadline = time.monotonic() + within
        only = {"labelSelector": selector}
        while (left := deadline - time.monotonic()) > 0:
            found = self._list(kind, namespace, only)
            events = self.watch(kind, namespace, found["metadata"]["resourceVersion"], left, only)
            changed = (event.object for event in events if event.type != "DELETED")
            each: Object
            for each in itertools.chain(found["items"], changed):
                if holds(each):
                    return each
        raise AssertionError(f"no such {kind} in {namespace} within {within} s")

    def until_none(self, kind: str, namespace: str, selector: str, within: float = WITHIN) -> None:
        """Wait, on a watch, until nothing of a kind carries the labels."""
        deadline = time.monotonic() + within
        names: set[str] = set()
        while (left := deadline - time.monotonic()) > 0:
            found = self._list(kind, namespace, {"labelSelector": selector})
            names = {item["metadata"]["name"] for item in found["items"]}
            if not names:
                return
            version = found["metadata"]["resourceVersion"]
            for event in self.watch(kind, namespace, version, left, {"labelSelector": selector}):
                (names.discard if event.type == "DELETED" else names.add)(event.name)
                if not names:
                    return
        raise AssertionError(f"{kind} left in {namespace} after {within} s: {sorted(names)}")

    def watch(
        self, kind: str, namespace: str, version: str, seconds: float, params: dict[str, str] | None = None
    ) -> Iterator[Event]:
        """Yield what happens after a resourceVersion, for some seconds at most."""
        query = {
            **(params or {}),
            "watch": "1",
            "resourceVersion": version,
            "timeoutSeconds": str(max(1, int(seconds))),
        }
        with self.api.stream("GET", _path(kind, namespace), params=query) as stream:
            for line in stream.iter_lines():
                event = json.loads(line)
                if event["type"] == "ERROR":
                    return
                yield Event(kind, event["type"], event["object"], time.monotonic())

    @contextmanager
    def record(self, namespace: str, *kinds: str) -> Iterator[Recording]:
        """Record what happens to the kinds while the block runs; what was there before comes first, as ADDED."""
        recording, ended = Recording(), threading.Event()
        starts = [(kind, self._note_present(recording, kind, namespace)) for kind in kinds]
        threads = [
            threading.Thread(target=self._follow, args=(recording, kind, namespace, version, ended))
            for kind, version in starts
        ]
        for thread in threads:
            thread.start()
        try:
            yield recording
        finally:
            ended.set()
            for thread in threads:
                thread.join()

    def _note_present(self, recording: Recording, kind: str, namespace: str) -> str:
        found = self._list(kind, namespace, {})
        now = time.monotonic()
        recording.events += [Event(kind, "ADDED", item, now) for item in found["items"]]
        return str(found["metadata"]["resourceVersion"])

    def _follow(self, recording: Recording, kind: str, namespace: str, version: str, ended: threading.Event) -> None:
        while not ended.is_set():
            for event in self.watch(kind, namespace, version, 1):
                recording.events.append(event)
                version = event.object["metadata"]["resourceVersion"]

    def _list(self, kind: str, namespace: str, params: dict[str, str]) -> Object:
        answer = self.api.get(_path(kind, namespace), params=params)
        answer.raise_for_status()
        found: Object = answer.json()
        return found


def _path(kind: str, namespace: str) -> str:
    scope = f"/namespaces/{namespace}" if namespace else ""
    return f"/{GROUP_OF.get(kind, 'api/v1')}{scope}/{kind}"


def _through(namespace: str, service: str) -> str:
    return f"/api/v1/namespaces/{namespace}/services/{service}:http/proxy"


def _brief(found: Object | None) -> str:
    if found is None:
        return "nothing"
    found = {**found, "metadata": {**found["metadata"], "managedFields": None}}
    return yaml.safe_dump({key: found.get(key) for key in ("metadata", "spec", "status")})[-4000:]
