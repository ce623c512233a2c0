"""The chart's manifests, as helm renders them without a cluster."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

CHART = Path(__file__).parents[3] / "charts" / "imageclassifier-operator"
CRD_FILE = CHART / "files" / "crd.yaml"
KUBERNETES = "1.34"
CLUSTER_SCOPED = {"ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition", "Namespace", "PriorityClass"}
NOT_KUBERNETES_OWN = {"ServiceMonitor", "PodMonitor"}
MONITORS = {"metrics": {"serviceMonitor": {"enabled": True}, "podMonitor": {"enabled": True}}}
EVERYTHING = {
    **MONITORS,
    "watch": {"namespace": "team"},
    "caBundle": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    "serverEnv": {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"},
    "imagePullSecrets": [{"name": "registry"}],
    "priorityClassName": "system-cluster-critical",
    "serviceAccount": {"annotations": {"team": "vision"}},
    "podLabels": {"team": "vision"},
    "podAnnotations": {"team": "vision"},
    "nodeSelector": {"kubernetes.io/os": "linux"},
    "tolerations": [{"key": "dedicated", "operator": "Exists"}],
    "affinity": {"nodeAffinity": {}},
}

pytestmark = pytest.mark.skipif(shutil.which("helm") is None, reason="helm is not installed")


def run_helm(*arguments: str, values: dict[str, Any] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["helm", *arguments, "--values", "-"],
        input=json.dumps(values or {}), text=True, capture_output=True, check=False,
    )  # fmt: skip


def render(values: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    answer = run_helm(
        "template", "release", str(CHART), "--namespace", "system", "--kube-version", f"{KUBERNETES}.0", values=values
    )
    assert answer.returncode == 0, answer.stderr
    return [document for document in yaml.safe_load_all(answer.stdout) if document]


def of_kind(manifests: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    (manifest,) = [manifest for manifest in manifests if manifest["kind"] == kind]
    return manifest


def allowed(manifests: list[dict[str, Any]], kind: str, resource: str) -> set[str]:
    rules = of_kind(manifests, kind)["rules"]
    return {verb for rule in rules if resource in rule["resources"] for verb in rule["verbs"]}


def test_lints_cleanly() -> None:
    answer = run_helm("lint", "--strict", str(CHART))
    assert answer.returncode == 0, answer.stdout + answer.stderr


@pytest.mark.parametrize("values", [{}, MONITORS, EVERYTHING], ids=["defaults", "monitors", "everything"])
def test_renders_manifests_that_kubernetes_takes(values: dict[str, Any]) -> None:
    for manifest in render(values):
        if manifest["kind"] not in NOT_KUBERNETES_OWN:
            kubernetes_validate.validate(manifest, KUBERNETES, strict=True)


def test_installs_the_generated_crd_unchanged_and_keeps_it_on_uninstall() -> None:
    crd = of_kind(render(), "CustomResourceDefinition")
    assert crd["spec"] == yaml.safe_load(CRD_FILE.read_text())["spec"]
    assert crd["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"


def test_leaves_the_crd_out_where_another_release_has_it() -> None:
    assert not [m for m in render({"crds": {"install": False}}) if m["kind"] == "CustomResourceDefinition"]


def test_a_release_for_one_namespace_makes_nothing_cluster_scoped() -> None:
    manifests = render({**EVERYTHING, "crds": {"install": False}})
    assert not {m["kind"] for m in manifests} & CLUSTER_SCOPED
    assert of_kind(manifests, "Role")["metadata"]["namespace"] == "team"
    binding = of_kind(manifests, "RoleBinding")
    assert binding["metadata"]["namespace"] == "team"
    assert binding["subjects"][0]["namespace"] == "system"


def test_two_releases_share_no_cluster_scoped_name() -> None:
    names = {m["metadata"]["name"] for m in render() if m["kind"].startswith("ClusterRole")}
    assert names == {"system:release-imageclassifier-operator"}


@pytest.mark.parametrize(
    ("values", "kind"), [({}, "ClusterRole"), ({"watch": {"namespace": "team"}}, "Role")], ids=["cluster", "namespace"]
)
def test_grants_what_reconciling_takes_and_no_more(values: dict[str, Any], kind: str) -> None:
    manifests = render(values)
    assert allowed(manifests, kind, "imageclassifiers") == {"get", "list", "watch"}
    assert allowed(manifests, kind, "imageclassifiers/status") == {"patch"}
    assert allowed(manifests, kind, "pods") == {"get", "list", "watch"}
    assert allowed(manifests, kind, "statefulsets") == {"get", "list", "watch", "create", "patch", "delete"}
    assert allowed(manifests, kind, "jobs") == {"get", "list", "watch", "create", "patch", "delete"}
    assert allowed(manifests, kind, "persistentvolumeclaims") == {"get"}
    assert allowed(manifests, kind, "secrets") == {"create"}
    assert "*" not in json.dumps(of_kind(manifests, kind))


def test_the_operator_runs_restricted() -> None:
    pod = of_kind(render(), "Deployment")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {"livenessProbe", "readinessProbe", "resources"} <= container.keys()


def test_says_where_the_operator_is_scraped() -> None:
    annotations = of_kind(render(), "Deployment")["spec"]["template"]["metadata"]["annotations"]
    assert annotations["prometheus.io/scrape"] == "true"
    assert annotations["prometheus.io/port"] == "9090"


def test_monitors_find_the_operator_and_the_classifiers() -> None:
    manifests = render(MONITORS)
    service = of_kind(manifests, "Service")
    wanted = of_kind(manifests, "ServiceMonitor")["spec"]["selector"]["matchLabels"]
    assert wanted.items() <= service["metadata"]["labels"].items()
    assert service["spec"]["selector"] == of_kind(manifests, "Deployment")["spec"]["selector"]["matchLabels"]
    assert of_kind(manifests, "PodMonitor")["spec"]["podMetricsEndpoints"][0]["port"] == "http"


def test_the_certificates_of_authorities_reach_the_operator() -> None:
    manifests = render({"caBundle": "PEM"})
    assert of_kind(manifests, "ConfigMap")["data"] == {"ca.crt": "PEM\n"}
    pod = of_kind(manifests, "Deployment")["spec"]["template"]["spec"]
    assert pod["volumes"] == [{"name": "ca", "configMap": {"name": "release-imageclassifier-operator-ca"}}]


def test_the_servers_environment_reaches_the_operator_as_it_is_written() -> None:
    given = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318", "A": """a"b'c: {$(B)}\n"""}
    (container,) = of_kind(render({"serverEnv": given}), "Deployment")["spec"]["template"]["spec"]["containers"]
    (value,) = [variable["value"] for variable in container["env"] if variable["name"] == "OPERATOR_SERVER_ENV"]
    assert json.loads(value) == given


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"replicas": 2}, "replicas"),
        ({"image": {"registry": "x"}}, "registry"),
        ({"watch": {"namespaces": ["a"]}}, "namespaces"),
        ({"watch": {"namespace": "Not a name"}}, "namespace"),
        ({"metrics": {"podMonitor": {"on": True}}}, "on"),
        ({"logLevel": "loud"}, "logLevel"),
        ({"managedImages": {"minio": ""}}, "minio"),
        ({"managedVolumes": {"mlflow": "5 gigabytes"}}, "mlflow"),
        ({"serverEnv": {"CLASSIFIER_PORT": "1"}}, "CLASSIFIER_PORT"),
        ({"serverEnv": {"A B": "1"}}, "A B"),
        ({"serverEnv": {"A": 1}}, "serverEnv"),
        ({"resyncSeconds": "30s"}, "resyncSeconds"),
        ({"crds": {"install": "no"}}, "install"),
    ],
)
def test_refuses_a_value_it_does_not_know_and_names_it(values: dict[str, Any], named: str) -> None:
    answer = run_helm("template", "release", str(CHART), "--kube-version", f"{KUBERNETES}.0", values=values)
    assert answer.returncode != 0
    assert named in answer.stderr


def test_every_value_is_in_the_schema_and_every_schema_field_has_a_value() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    schema = json.loads((CHART / "values.schema.json").read_text())
    assert values.keys() == schema["properties"].keys() - {"global"}
