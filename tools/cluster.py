"""A kind cluster: made, given images and an ingress controller, and removed."""

import os
from pathlib import Path

from tools.images import ROOT, has_image, image_id
from tools.terminal import run

NODE_IMAGE = "kindest/node:v1.34.4"
E2E_NAME = os.environ.get("E2E_NAME", "imageclassifier-e2e")
"""The end-to-end tests' cluster; with another, and another E2E_PORT, two runs stand side by side."""
TRAEFIK_IMAGE = "traefik:v3.7"
ID_LABEL = "imageclassifier.dev/image-id"
"""On a node's images: the id that the image has on the machine it came from."""
TRAEFIK_MANIFEST = ROOT / "manifests" / "ingress" / "traefik.yaml"


class Cluster:
    """A kind cluster by its name. kubectl and helm reach it by its context, whichever is the current one."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.context = f"kind-{name}"

    def exists(self) -> bool:
        """Say whether kind knows a cluster of this name."""
        return self.name in run("kind", "get", "clusters").split()

    def create(self, config: Path) -> None:
        """Create the cluster; the environment's NODE_IMAGE overrides the node's image."""
        node_image = os.environ.get("NODE_IMAGE", NODE_IMAGE)
        run("kind", "create", "cluster", "--name", self.name, "--config", str(config), "--image", node_image,
            "--wait", "120s")  # fmt: skip

    def delete(self) -> None:
        """Remove the cluster and all that is in it."""
        run("kind", "delete", "cluster", "--name", self.name)

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """Run kubectl on this cluster and return its output."""
        return run("kubectl", "--context", self.context, *arguments, stdin=stdin)

    def helm(self, *arguments: str) -> str:
        """Run helm on this cluster and return its output."""
        return run("helm", "--kube-context", self.context, *arguments)

    def load_images(self, *references: str, nodes: list[str] | None = None) -> list[str]:
        """Copy images of this machine to the nodes that lack them, or have others of that name; return which.

        `nodes`: None means all.
        """
        nodes = nodes or run("kind", "get", "nodes", "--name", self.name).split()
        wanted = {reference: image_id(reference) for reference in references}
        missing = [name for name, digest in wanted.items() if not all(_has(node, name, digest) for node in nodes)]
        if missing:
            run("kind", "load", "docker-image", "--name", self.name, "--nodes", ",".join(nodes), *missing)
        for node in nodes:
            for name in missing:
                _ctr(node, "label", _full(name), f"{ID_LABEL}={wanted[name]}")
        return missing

    def install_traefik(self) -> None:
        """Make Traefik the cluster's ingress controller, on its node's port 80, and wait until it answers.

        Its image is loaded from this machine where it is there, else the node pulls it.
        """
        if has_image(TRAEFIK_IMAGE):
            self.load_images(TRAEFIK_IMAGE)
        self.kubectl("apply", "-f", str(TRAEFIK_MANIFEST))
        self.kubectl("-n", "traefik", "rollout", "status", "deployment/traefik", "--timeout=180s")


def _has(node: str, reference: str, digest: str) -> bool:
    names = _ctr(node, "list", "--quiet", f'labels."{ID_LABEL}"=="{digest}"')
    return _full(reference) in names.split()


def _ctr(node: str, *arguments: str) -> str:
    return run("docker", "exec", node, "ctr", "--namespace=k8s.io", "images", *arguments)


def _full(reference: str) -> str:
    """Return the reference as containerd keeps it: imageclassifier/server:1 -> docker.io/imageclassifier/server:1."""
    first, slash, _ = reference.partition("/")
    if not slash:
        return f"docker.io/library/{reference}"
    is_registry = "." in first or ":" in first or first == "localhost"
    return reference if is_registry else f"docker.io/{reference}"
