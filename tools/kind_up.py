"""`make kind`: a cluster with the operator and the sample on it, made or brought up to date."""

import json
import sys
import time

import httpx2
import yaml

from tools.answers import post_photo, show_predictions
from tools.cluster import Cluster
from tools.images import (
    MINIO_REFERENCE,
    MLFLOW,
    MODEL,
    OPERATOR,
    ROOT,
    SERVER_CPU,
    build_image,
    build_pinned,
    has_image,
)
from tools.ports import is_free
from tools.serve import PHOTOS
from tools.terminal import CommandError, console, step

CONFIG = ROOT / "kind-config.yaml"
SAMPLE = ROOT / "manifests" / "samples" / "quickstart.yaml"
MLFLOW_INGRESS = ROOT / "manifests" / "samples" / "mlflow-ingress.yaml"
CHART = ROOT / "charts" / "imageclassifier-operator"
NAMESPACE = "imageclassifier-system"
RELEASE = "imageclassifier-operator"
SETTINGS = yaml.safe_load(CONFIG.read_text())
CLUSTER = Cluster(SETTINGS["name"])
PORT: int = SETTINGS["nodes"][0]["extraPortMappings"][0]["hostPort"]


def main() -> int:
    """Return the exit status."""
    started = time.monotonic()
    try:
        make_cluster()
        operator_image, server_image, mlflow_image = prepare_images()
        with step("Installing Traefik, the ingress controller"):
            CLUSTER.install_traefik()
        with step("Installing the operator with Helm"):
            install_operator(operator_image, server_image, mlflow_image)
        name = apply_sample(server_image)
        with step(f"Posting models/photos/cat.jpg to the ingress, http://localhost:{PORT}"):
            answer = post_photo(f"http://127.0.0.1:{PORT}", PHOTOS / "cat.jpg")
    except (CommandError, httpx2.HTTPError) as error:
        console.print(str(error), style="red", markup=False)
        return 1
    show_predictions("models/photos/cat.jpg", answer)
    conclude(name, time.monotonic() - started)
    return 0


def make_cluster() -> None:
    """Make the cluster unless it is there."""
    if CLUSTER.exists():
        console.print(f"[green]✓[/green] The cluster {CLUSTER.name} is there")
        return
    if not is_free(PORT):
        raise CommandError(f"Port {PORT} is taken: free it, or name another in {CONFIG.name}.")
    with step(f"Creating the cluster {CLUSTER.name}"):
        CLUSTER.create(CONFIG)


def prepare_images() -> tuple[str, str, str]:
    """Build the images and load those that the cluster lacks. Return the operator's, the server's and MLflow's."""
    with step(f"Building {MODEL.reference}"):
        build_image(MODEL)
    with step(f"Building {SERVER_CPU.reference}"):
        server = build_pinned(SERVER_CPU)
    with step(f"Building {OPERATOR.reference}"):
        operator = build_pinned(OPERATOR)
    with step(f"Building {MLFLOW.reference}"):
        mlflow = build_pinned(MLFLOW)
    pulled = [MINIO_REFERENCE] if has_image(MINIO_REFERENCE) else []
    with step("Loading the images that the cluster lacks"):
        loaded = CLUSTER.load_images(MODEL.reference, server, operator, mlflow, *pulled)
    for reference in loaded:
        console.print(f"  {reference}", style="dim")
    return operator, server, mlflow


def install_operator(operator_image: str, server_image: str, mlflow_image: str) -> None:
    """Install the chart, or upgrade it, and wait until the operator runs."""
    repository, _, tag = operator_image.rpartition(":")
    settings = {
        "image.repository": repository,
        "image.tag": tag,
        "serverImages.cpu": server_image,
        "managedImages.mlflow": mlflow_image,
    }
    arguments = [f"--set-string={name}={value}" for name, value in settings.items()]
    try:
        CLUSTER.helm("upgrade", "--install", RELEASE, str(CHART), "--namespace", NAMESPACE, "--create-namespace",
                     "--wait", "--timeout", "2m", *arguments)  # fmt: skip
    except CommandError as error:
        # Helm says no more than that time was up.
        pods = CLUSTER.kubectl("-n", NAMESPACE, "get", "pods")
        logs = CLUSTER.kubectl("-n", NAMESPACE, "logs", f"deployment/{RELEASE}", "--tail=20")
        raise CommandError(f"{error}\n\n{pods}\n{logs}") from error


def apply_sample(server_image: str) -> str:
    """Apply the sample and wait until it answers from the given server image. Return the object's name."""
    name: str = yaml.safe_load(SAMPLE.read_text())["metadata"]["name"]
    with step(f"Applying {SAMPLE.relative_to(ROOT)}, and waiting for Ready"):
        CLUSTER.kubectl("apply", "-f", str(SAMPLE), "-f", str(MLFLOW_INGRESS))
        wait_until_ready(name)
    if server_image not in CLUSTER.kubectl("get", "deployment", name, "-o", "yaml"):
        # An object's pods change with its spec alone, so a new server image waits for a change there.
        with step("Rolling out the new server image"):
            patch = {"spec": {"pod": {"annotations": {"imageclassifier.dev/server-image": server_image}}}}
            CLUSTER.kubectl("patch", "imageclassifier", name, "--type=merge", "--patch", json.dumps(patch))
            wait_until_ready(name)
    return name


def wait_until_ready(name: str) -> None:
    """Wait for Ready of the object's latest generation. Raises CommandError with its conditions if it isn't."""
    try:
        # kubectl goes by the condition's observedGeneration: Ready of an earlier spec is not taken for this one's.
        CLUSTER.kubectl("wait", f"imageclassifier/{name}", "--for=condition=Ready", "--timeout=180s")
    except CommandError as error:
        status = CLUSTER.kubectl("get", "imageclassifier", name, "-o", "jsonpath={.status.conditions}")
        raise CommandError(f"{error}\n{status}") from error


def conclude(name: str, seconds: float) -> None:
    """Say where to go from here."""
    console.print(
        f"""
Ready in {seconds:.0f} s.

See    kubectl --context {CLUSTER.context} get imageclassifiers
       kubectl --context {CLUSTER.context} describe imageclassifier {name}
Open   http://localhost:{PORT}/docs
       http://mlflow.localhost:{PORT}   MLflow, where each minute's predictions are logged
Try    curl --data-binary @models/photos/espresso.jpg http://localhost:{PORT}/api/v1/predict
Again  make kind        brings the cluster up to date with the checkout
       make kind-down   removes it""",
        soft_wrap=True,
    )


if __name__ == "__main__":
    sys.exit(main())
