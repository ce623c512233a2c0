"""What several files must say alike, and the manifests that no generator checks."""

import re

import kubernetes_validate
import pytest
import yaml

from models import sample
from tools import cluster, images

ROOT = images.ROOT
TRAEFIK = list(yaml.safe_load_all(cluster.TRAEFIK_MANIFEST.read_text()))


def found_in(path: str, pattern: str) -> set[str]:
    return set(re.findall(pattern, (ROOT / path).read_text()))


def test_makefile_and_images_install_with_the_same_uv() -> None:
    (version,) = found_in("Makefile", r"UV_VERSION := (\S+)")
    assert found_in("inference/Dockerfile", r"uv==(\S+)") == {version}
    assert found_in("operator/Dockerfile", r"uv==(\S+)") == {version}
    assert found_in("tracking/Dockerfile", r"uv==(\S+)") == {version}


def test_images_and_chart_have_the_project_s_version() -> None:
    assert found_in("pyproject.toml", r'(?m)^version = "(.+)"') == {images.VERSION}
    assert found_in("charts/imageclassifier-operator/Chart.yaml", r'(?m)^appVersion: "?([^"\n]+)') == {images.VERSION}


def test_compose_serves_the_sample() -> None:
    """But for where it logs to: in the cluster the operator says so."""
    sample_spec, served = (
        yaml.safe_load((ROOT / path).read_text())["spec"]
        for path in ("manifests/samples/quickstart.yaml", "compose/classifier.yaml")
    )
    for field in ("model", "preprocess", "selfTest"):
        assert served[field] == sample_spec[field]


def test_compose_bounds_what_goes_on_running_and_starts_it_in_order() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    running = {name for name, each in services.items() if each.get("network_mode") != "none"}
    assert running == {"minio", "mlflow", "recorder", "server"}
    for name in running:
        assert services[name]["deploy"]["resources"]["limits"].keys() == {"cpus", "memory"}
    # Nothing waits for the recorder, and no store holds the server back.
    assert {name for name in running if "healthcheck" in services[name]} == running - {"recorder"}
    waits = {name: {on for on, how in services[name]["depends_on"].items() if how["condition"] == "service_healthy"}
             for name in running}  # fmt: skip
    assert waits == {"minio": set(), "mlflow": {"minio"}, "recorder": {"mlflow"}, "server": set()}


def test_compose_runs_the_store_that_the_chart_names() -> None:
    assert found_in("docker-compose.yml", r"image: (\S+minio\S*)") == {images.MINIO_REFERENCE}


def test_the_chart_names_the_store_that_is_loaded() -> None:
    chart = yaml.safe_load((ROOT / "charts/imageclassifier-operator/values.yaml").read_text())
    assert chart["managedImages"]["minio"] == images.MINIO_REFERENCE


def test_the_sample_names_nothing_that_its_image_lacks() -> None:
    uris = found_in("manifests/samples/quickstart.yaml", r"image://(\S+)")
    held = {f"photos/{photo.name}" for photo in (sample.HERE / "photos").iterdir()}
    held |= {"model/model.onnx", "model/labels.txt"}
    assert uris
    assert uris <= {f"{sample.REFERENCE}/{path}" for path in held}


def test_images_take_no_frontend_from_a_registry() -> None:
    for image in (images.SERVER_CPU, images.OPERATOR, images.MLFLOW, images.MODEL):
        assert "syntax=" not in image.dockerfile.read_text()


@pytest.mark.parametrize("manifest", TRAEFIK, ids=lambda manifest: manifest["kind"])
def test_traefik_s_manifests_are_what_kubernetes_takes(manifest: dict[str, object]) -> None:
    kubernetes_validate.validate(manifest, "1.34", strict=True)


def test_traefik_is_the_version_that_is_loaded() -> None:
    (deployment,) = [manifest for manifest in TRAEFIK if manifest["kind"] == "Deployment"]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert container["image"] == cluster.TRAEFIK_IMAGE
