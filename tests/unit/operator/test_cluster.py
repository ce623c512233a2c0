"""What the API server's answers mean."""

import json
from collections.abc import AsyncIterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import httpx2
import pytest
from lightkube import AsyncClient, KubeConfig
from lightkube.config import models
from lightkube.core.exceptions import ApiError

from classifier_operator.api_errors import ClusterError, ConflictError, GoneError, UnknownKindError
from classifier_operator.cluster import Cluster, _translate, _translated
from classifier_operator.key import Key
from classifier_operator.observe import Observer
from classifier_operator.resources.deployment import DEPLOYMENT


@pytest.mark.parametrize(
    ("code", "message", "meaning"),
    [
        (404, "not found", GoneError),
        (409, "the object has been modified", ConflictError),
        (422, "Deployment is invalid", ClusterError),
        (422, "the server rejected our request due to an error in our request", ConflictError),
        (413, "Request entity too large: limit is 3145728", ClusterError),
        (500, "etcdserver: request timed out", ClusterError),
    ],
)
def test_what_retrying_can_not_mend_is_told_apart(code: int, message: str, meaning: type[ClusterError]) -> None:
    response = httpx2.Response(code, json={"code": code, "message": message, "status": "Failure"})
    assert type(_translate(ApiError(response=response))) is meaning


async def test_an_answer_that_is_no_status_is_told_by_its_code() -> None:
    async def refuse() -> None:
        httpx2.Response(502, content=b"<html>", request=httpx2.Request("GET", "http://api")).raise_for_status()

    with pytest.raises(ClusterError, match="the API server answered 502"):
        await _translated(refuse())


class _ApiServer(BaseHTTPRequestHandler):
    """Says what Kubernetes 1.34 does of what it hasn't, by the path that is asked for."""

    def _answer(self) -> None:
        if self.path.startswith("/apis/batch/"):
            self._refuse("text/plain; charset=utf-8", "404 page not found\n")
        elif self.path.startswith("/apis/apps/"):
            self._refuse_json("the server could not find the requested resource", {})
        elif "/namespaces/gone/" in self.path and self.command == "PATCH":
            self._refuse_json('namespaces "gone" not found', {"name": "gone", "kind": "namespaces"})
        elif self.path.startswith("/apis/networking.k8s.io/"):
            self._refuse("text/html", "<html>404: what a proxy says</html>")
        else:
            kind, name = self.path.partition("?")[0].split("/")[-2:]
            self._refuse_json(f'{kind} "{name}" not found', {"name": name, "kind": kind})

    do_GET = do_PATCH = do_DELETE = _answer  # noqa: N815 - as http.server has it

    def _refuse_json(self, message: str, details: dict[str, str]) -> None:
        status = {"kind": "Status", "status": "Failure", "message": message, "reason": "NotFound", "code": 404}
        self._refuse("application/json", json.dumps(status | {"details": details}))

    def _refuse(self, content_type: str, body: str) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(404)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
async def cluster() -> AsyncIterator[Cluster]:
    server = HTTPServer(("127.0.0.1", 0), _ApiServer)
    Thread(target=server.serve_forever, daemon=True).start()
    place = models.Cluster(server=f"http://127.0.0.1:{server.server_port}")
    try:
        async with AsyncClient(KubeConfig.from_one(cluster=place, user=models.User())) as client:
            yield Cluster(client)
    finally:
        server.shutdown()
        server.server_close()


def named(kind: str, namespace: str = "team") -> dict[str, object]:
    return {"kind": kind, "metadata": {"name": "photos", "namespace": namespace}}


async def test_an_object_that_is_gone_is_none_and_nothing_to_delete(cluster: Cluster) -> None:
    assert await cluster.get("Service", "team", "photos") is None
    await cluster.delete(named("Service"))
    with pytest.raises(GoneError, match='configmaps "photos" not found'):
        await cluster.patch(named("ConfigMap"), [])


async def test_what_is_applied_in_a_namespace_that_is_gone_is_gone(cluster: Cluster) -> None:
    with pytest.raises(GoneError, match='namespaces "gone" not found'):
        await cluster.apply(named("Service", "gone"))


@pytest.mark.parametrize("kind", ["Job", "Deployment"], ids=["no such group", "no such kind in the group"])
async def test_a_kind_that_the_cluster_has_not_is_no_object_that_is_ending(cluster: Cluster, kind: str) -> None:
    with pytest.raises(UnknownKindError, match="this cluster has no such kind"):
        await cluster.get(kind, "team", "photos")
    with pytest.raises(UnknownKindError):
        await cluster.find(kind, "team")
    with pytest.raises(UnknownKindError):
        await cluster.apply(named(kind, "gone"))


async def test_what_is_observed_of_a_kind_that_the_cluster_has_not_is_nothing(cluster: Cluster) -> None:
    assert await Observer(cluster)._fetch("Job", "team", "photos") is None
    assert await Observer(cluster)._fetch_by_name(DEPLOYMENT, "team", {}) == {}
    assert await Observer(cluster).observe_object(Key("team", "photos")) is None


async def test_a_404_that_is_not_the_api_servers_means_neither(cluster: Cluster) -> None:
    with pytest.raises(ClusterError, match="the API server answered 404, and nothing else") as caught:
        await cluster.get("Ingress", "team", "photos")
    assert type(caught.value) is ClusterError
