"""What the process that controls a run makes once, and its workers use: the cluster, the images, files behind HTTPS."""

import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.e2e import environment
from tests.e2e.cluster import Cluster
from tests.e2e.environment import Authority, Images
from tools import cluster as kind
from tools.terminal import CommandError, step

COMMANDS = ("docker", "kind", "kubectl", "helm")


@dataclass(frozen=True)
class Prepared:
    """What a run has: handed to workers as JSON. The folder is the run's own."""

    folder: Path
    images: Images
    authority: Authority

    def to_json(self) -> str:
        return json.dumps({**asdict(self), "folder": str(self.folder)})

    @classmethod
    def from_json(cls, text: str) -> "Prepared":
        parts = json.loads(text)
        return cls(Path(parts["folder"]), Images(**parts["images"]), Authority(**parts["authority"]))

    @property
    def chart_values(self) -> list[str]:
        return environment.chart_values(self.images, self.authority)

    @contextmanager
    def wide_operator(self) -> Iterator[Path]:
        """Hold, alone among the workers, the file that is there while the operator of all namespaces is."""
        with (self.folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield self.folder / "wide-operator"


def prepare() -> Prepared:
    """Make, or with E2E_KEEP keep, the cluster; remove what a former run left on it. Raises CommandError."""
    missing = [command for command in COMMANDS if shutil.which(command) is None]
    if missing:
        raise CommandError(f"the end-to-end tests need {', '.join(missing)}")
    folder = Path(tempfile.mkdtemp(prefix="e2e-"))
    try:
        with step(f"Making the cluster {environment.NAME}"):
            made = environment.create_cluster(folder)
        return _furnish(made, folder)
    except BaseException:
        remove(folder)
        raise


def _furnish(made: kind.Cluster, folder: Path) -> Prepared:
    context = folder / "tiny"
    context.mkdir()
    with step("Building the images"):
        images = environment.build_images(context)
    with step("Loading the images"):
        environment.load_images(made, images)
        made.install_traefik()
    with step("Clearing the cluster"), environment.connect(folder) as cluster:
        environment.uninstall_every_operator(cluster)
        environment.remove_leftovers(cluster)
        authority = environment.serve_files(cluster, images.server, context)
    return Prepared(folder, images, authority)


def remove(folder: Path) -> None:
    """Remove the cluster, unless E2E_KEEP is set, and the run's folder."""
    shutil.rmtree(folder)
    cluster = kind.Cluster(environment.NAME)
    if not os.environ.get("E2E_KEEP") and cluster.exists():
        cluster.delete()


def install_wide_operator(cluster: Cluster, prepared: Prepared) -> None:
    """Install the operator of all namespaces, unless another worker has."""
    with prepared.wide_operator() as installed:
        if installed.exists():
            return
        environment.install_operator(
            cluster, environment.RELEASE, environment.SYSTEM, *prepared.chart_values, *environment.BY_EVENTS_ALONE
        )
        installed.touch()


def remove_wide_operator(cluster: Cluster, prepared: Prepared) -> None:
    """Remove it, so that each namespace may have an operator of its own; leave the CRD there."""
    with prepared.wide_operator() as installed:
        if installed.exists():
            environment.uninstall_every_operator(cluster)
            installed.unlink()
        if cluster.get("customresourcedefinitions", "", environment.CRD) is None:
            environment.apply_crd(cluster)
