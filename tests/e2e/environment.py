"""What the tests run on: the kind cluster, the images, the operator's release, files behind HTTPS."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import trustme
import yaml

from tests.e2e import classifiers
from tests.e2e.cluster import WITHIN, Cluster, Object
from tools import cluster as kind
from tools import images
from tools.terminal import run

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
CHART = ROOT / "charts" / "imageclassifier-operator"
NAME = kind.E2E_NAME
GPU_NODE = f"{NAME}-worker"
NODE = f"{NAME}-control-plane"
PORT = int(os.environ.get("E2E_PORT", "18080"))
INGRESS = f"http://127.0.0.1:{PORT}"
SYSTEM = "imageclassifier-system"
RELEASE = "operator"
OPERATOR = f"{RELEASE}-imageclassifier-operator"
TOOLS = "e2e-tools"
FILES = f"https://files.{TOOLS}.svc"
CRD = "imageclassifiers.imageclassifier.dev"
CRD_FILE = ROOT / "manifests" / "crd.yaml"
BY_EVENTS_ALONE = ("--set", "resyncSeconds=3600")
"""helm's arguments for an operator that looks at nothing unasked: what it mends, it mends because it was told."""
PROMETHEUS_IMAGE = "prom/prometheus:v2.53.3"
PAUSE_IMAGE = "registry.k8s.io/pause:3.10.1"


@dataclass(frozen=True)
class Images:
    """References of the images under test; each names its content, so that a rebuilt one is another."""

    operator: str
    server: str
    gpu: str
    next_server: str
    mlflow: str
    sample: str


@dataclass(frozen=True)
class Authority:
    """A certificate authority of the tests' own, and where its server is."""

    certificate: str
    url: str


def create_cluster(folder: Path) -> kind.Cluster:
    """Create the cluster, or keep the one that E2E_KEEP left, and give the worker its pretended GPUs."""
    made = kind.Cluster(NAME)
    if made.exists() and not os.environ.get("E2E_KEEP"):
        made.delete()
    if not made.exists():
        config = yaml.safe_load((HERE / "kind-config.yaml").read_text())
        config["name"] = NAME
        config["nodes"][0]["extraPortMappings"][0]["hostPort"] = PORT
        for mount in config["nodes"][0]["extraMounts"]:
            mount["hostPath"] = str(HERE / mount["hostPath"])
        rendered = folder / "kind-config.yaml"
        rendered.write_text(yaml.safe_dump(config))
        made.create(rendered)
    capacity = {"nvidia.com/gpu": "1", "nvidia.com/mig-1g.10gb": "1"}
    made.kubectl("patch", "node", GPU_NODE, "--subresource=status", "--type=merge", "-p",
                 json.dumps({"status": {"capacity": capacity}}))  # fmt: skip
    return made


@contextmanager
def connect(folder: Path) -> Iterator[Cluster]:
    """Yield the cluster by a kubeconfig of its own."""
    kubeconfig = folder / "kubeconfig"
    kubeconfig.write_text(run("kind", "get", "kubeconfig", "--name", NAME))
    cluster = Cluster(kubeconfig)
    with cluster.api:
        yield cluster


def build_images(folder: Path) -> Images:
    """Build the images. The gpu image is the cpu one under another name: the node pretends too."""
    server = images.build_pinned(images.SERVER_CPU)
    built = Images(
        operator=images.build_pinned(images.OPERATOR),
        server=server,
        gpu=f"{server}-gpu",
        next_server=f"{server}-next",
        mlflow=images.build_pinned(images.MLFLOW),
        sample=images.MODEL.reference,
    )
    images.build_image(images.MODEL)
    for reference in (built.gpu, built.next_server):
        run("docker", "tag", server, reference)
    classifiers.write_image_context(folder)
    run("docker", "build", "--build-arg", f"SAMPLE={built.sample}", "-t", classifiers.TINY_IMAGE,
        "-f", str(HERE / "Dockerfile.tiny"), str(folder))  # fmt: skip
    return built


def load_images(made: kind.Cluster, built: Images) -> None:
    """Load the images; onto the node that only what asks for a GPU may use, no others than that needs."""
    made.load_images(built.gpu, classifiers.TINY_IMAGE)
    made.load_images(
        built.operator,
        built.server,
        built.next_server,
        built.sample,
        built.mlflow,
        images.MINIO_REFERENCE,
        PROMETHEUS_IMAGE,
        nodes=[NODE],
    )


def chart_values(built: Images, authority: Authority) -> list[str]:
    """Return helm's arguments for a release of the images under test."""
    repository, _, tag = built.operator.rpartition(":")
    values = {
        "image.repository": repository,
        "image.tag": tag,
        "serverImages.cpu": built.server,
        "serverImages.gpu": built.gpu,
        "managedImages.mlflow": built.mlflow,
        "caBundle": authority.certificate,
    }
    return [argument for name, value in values.items() for argument in ("--set-string", f"{name}={value}")]


def install_operator(
    cluster: Cluster, release: str, namespace: str, *values: str, chart: Path = CHART, wait: bool = True
) -> str:
    """Install or upgrade a release, wait until it runs, and return what helm said."""
    awaited = ["--wait", "--timeout", "180s"] if wait else []
    where = ["--namespace", namespace, "--create-namespace"]
    return cluster.run("helm", "upgrade", "--install", release, str(chart), *where, *awaited, *values).stdout


def install_namespaced_operator(cluster: Cluster, namespace: str, *values: str, wait: bool = True) -> None:
    """Install a release that serves the namespace that it is in, and no other."""
    scope = ["--set", "crds.install=false", "--set", f"watch.namespace={namespace}"]
    install_operator(cluster, RELEASE, namespace, *values, *scope, wait=wait)


def kill_the_operator(cluster: Cluster, namespace: str) -> None:
    """End the pod of a namespace's operator by SIGKILL, and wait until its successor runs."""
    selector = f"app.kubernetes.io/instance={RELEASE}"
    cluster.kubectl("-n", namespace, "delete", "pod", "-l", selector, "--grace-period=0", "--force")
    cluster.kubectl("-n", namespace, "rollout", "status", f"deployment/{OPERATOR}", f"--timeout={WITHIN}s")


@contextmanager
def without_operator(cluster: Cluster, namespace: str) -> Iterator[None]:
    """Run the block while the operator that is in a namespace doesn't run."""
    cluster.kubectl("-n", namespace, "scale", f"deployment/{OPERATOR}", "--replicas=0")
    cluster.until_none("pods", namespace, f"app.kubernetes.io/instance={RELEASE}")
    try:
        yield
    finally:
        cluster.kubectl("-n", namespace, "scale", f"deployment/{OPERATOR}", "--replicas=1")
        cluster.kubectl("-n", namespace, "rollout", "status", f"deployment/{OPERATOR}", f"--timeout={WITHIN}s")


def uninstall_every_operator(cluster: Cluster) -> None:
    """Remove every release of the chart."""
    releases = json.loads(cluster.run("helm", "list", "--all-namespaces", "--all", "--output", "json").stdout)
    for release in releases:
        cluster.run("helm", "uninstall", release["name"], "--namespace", release["namespace"], "--wait")


def apply_crd(cluster: Cluster) -> None:
    """Apply the CRD, and wait until the API server has it. `kubectl wait` fails where it says nothing of it yet."""

    def is_established(found: Object | None) -> bool:
        conditions = ((found or {}).get("status") or {}).get("conditions") or []
        return any(each["type"] == "Established" and each["status"] == "True" for each in conditions)

    cluster.kubectl("apply", "-f", str(CRD_FILE))
    cluster.until("customresourcedefinitions", "", CRD, is_established)


def remove_leftovers(cluster: Cluster) -> None:
    """Remove the tests' namespaces and the CRD."""
    cluster.kubectl("delete", "namespace", "-l", "e2e=true", "--wait")
    cluster.kubectl("delete", "crd", CRD, "--ignore-not-found", "--wait")


def create_namespace(cluster: Cluster, name: str) -> None:
    """Create a namespace in which only restricted pods may run; what a former run left in it goes first."""
    cluster.kubectl("delete", "namespace", name, "--ignore-not-found", "--wait")
    labels = {"e2e": "true", "pod-security.kubernetes.io/enforce": "restricted"}
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})


@contextmanager
def a_namespace(cluster: Cluster, name: str) -> Iterator[str]:
    """Create a namespace for the block."""
    create_namespace(cluster, name)
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false", "--ignore-not-found")


def serve_files(cluster: Cluster, server_image: str, folder: Path) -> Authority:
    """Start a pod that serves the tiny model's files behind HTTPS, and from which load can be sent."""
    authority = trustme.CA()
    certificate = authority.issue_cert(FILES.removeprefix("https://"))
    parts = [certificate.private_key_pem, *certificate.cert_chain_pems]
    (folder / "tls.pem").write_bytes(b"".join(part.bytes() for part in parts))
    for script in ("files_server.py", "load_in_cluster.py"):
        shutil.copy(HERE / "in_cluster" / script, folder)
    cluster.kubectl("delete", "namespace", TOOLS, "--ignore-not-found", "--wait")
    cluster.kubectl("create", "namespace", TOOLS)
    cluster.kubectl("-n", TOOLS, "create", "configmap", "files", f"--from-file={folder}")
    manifest = (HERE / "in_cluster" / "tools.yaml").read_text().replace("SERVER_IMAGE", server_image)
    cluster.kubectl("-n", TOOLS, "apply", "-f", "-", stdin=manifest)
    cluster.kubectl("-n", TOOLS, "wait", "pod/files", "--for=condition=Ready", f"--timeout={WITHIN}s")
    return Authority(authority.cert_pem.bytes().decode(), FILES)
