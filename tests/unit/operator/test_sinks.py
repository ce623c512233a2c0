"""What the objects of a namespace share, and where an object's predictions go."""

from typing import Any

import kubernetes_validate
import pytest

from classifier_inference.spec.tracking import Storage, Tracking
from classifier_operator.decide.sharing import decide_sharing, wants_shared
from classifier_operator.managed_stores import Minio, Mlflow, resolve_storage, resolve_tracking
from classifier_operator.resources.credentials import build_credentials
from classifier_operator.resources.minio_server import build_minio
from classifier_operator.resources.mlflow_server import TRUSTED, build_mlflow, find_hosts, leads_to_shared
from classifier_operator.resources.shared_service import build_shared_service
from tests.unit.operator.objects import SETTINGS, body_of

MANAGED = {"tracking": {"mode": "Managed"}, "storage": {"mode": "Managed"}}
STORE = resolve_storage("team", Storage(mode="Managed"))
MLFLOW = Mlflow("mlflow", STORE)


def named(name: str, spec: dict[str, Any], age: int = 0, **metadata: Any) -> dict[str, Any]:
    return body_of(spec, name=name, creationTimestamp=f"2030-01-01T00:00:{age:02}Z", **metadata)


def test_objects_that_name_the_same_share_it() -> None:
    sharing = decide_sharing([named("a", MANAGED), named("b", MANAGED)])
    assert sharing.wanted == {"minio": Minio("minio"), "mlflow": MLFLOW}
    assert sharing.users == {"minio": ["a", "b"], "mlflow": ["a", "b"]}
    assert not sharing.conflicts


def test_the_oldest_says_what_is_shared_and_the_others_are_told() -> None:
    newer = named("a", {"tracking": {"mode": "Managed"}}, age=2)
    sharing = decide_sharing([newer, named("b", MANAGED, age=1)])
    assert sharing.wanted["mlflow"] == MLFLOW
    problem = sharing.conflicts["a", "TrackingReady"]
    assert problem.reason == "Conflict"
    assert problem.message.startswith(
        "b is older and makes imageclassifier-mlflow MLflow with artifacts in s3://mlflow"
    )


def test_one_name_is_not_both_mlflow_and_minio() -> None:
    both = {kind: {"mode": "Managed", "name": "x"} for kind in ("tracking", "storage")}
    sharing = decide_sharing([named("a", both)])
    assert sharing.wanted == {"x": Minio("x")}
    assert list(sharing.conflicts) == [("a", "TrackingReady")]


def test_an_object_that_is_being_deleted_wants_nothing_any_more() -> None:
    assert decide_sharing([named("a", MANAGED, deletionTimestamp="2030-01-01T00:00:00Z")]).wanted == {}


def test_nothing_is_called_unused_while_an_object_can_not_be_read() -> None:
    assert decide_sharing([named("a", {})]).complete
    assert not decide_sharing([named("a", {"tracking": {"mode": "Sometimes"}})]).complete


@pytest.mark.parametrize(("spec", "wants"), [({}, False), ({"tracking": {"mode": "None"}}, False), (MANAGED, True)])
def test_an_object_wants_something_shared_or_not(spec: dict[str, Any], wants: bool) -> None:
    assert wants_shared(named("a", spec)) is wants


def test_a_managed_store_is_resolved_to_its_address() -> None:
    assert resolve_tracking("team", Tracking(mode="Managed", name="x")).uri == "http://imageclassifier-x.team.svc:5000"
    assert STORE.endpoint == "http://imageclassifier-minio.team.svc:9000"
    assert (STORE.bucket, STORE.secret) == ("mlflow", "imageclassifier-minio")


BEHIND_TLS = Storage(mode="External", endpoint="https://s3.test", bucket="photos")
SETS = [
    build_minio("team", Minio("minio"), SETTINGS, None),
    build_mlflow("team", MLFLOW, ["mlflow.test"], SETTINGS, None, None),
    build_mlflow("team", Mlflow("mlflow", Storage()), [], SETTINGS, None, None),
    build_mlflow("team", Mlflow("mlflow", BEHIND_TLS), [], SETTINGS, "PEM", None),
]


@pytest.mark.parametrize(
    "manifest", [*SETS, build_shared_service("team", "minio", 9000), build_credentials("team", "minio")]
)
def test_what_is_shared_is_what_kubernetes_takes(manifest: dict[str, Any]) -> None:
    kubernetes_validate.validate(manifest, "1.34", strict=True)
    assert "ownerReferences" not in manifest["metadata"]


@pytest.mark.parametrize("manifest", SETS)
def test_shared_pods_are_restricted_and_probed(manifest: dict[str, Any]) -> None:
    pod = manifest["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["automountServiceAccountToken"] is False
    for container in [*pod["initContainers"], *pod["containers"]]:
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert {"readinessProbe", "livenessProbe"} <= pod["containers"][0].keys()


def test_credentials_are_new_each_time_and_in_no_other_manifest() -> None:
    first, second = (build_credentials("team", "minio")["stringData"] for _ in range(2))
    assert not set(first.values()) & set(second.values())
    for manifest in SETS:
        for container in manifest["spec"]["template"]["spec"]["containers"]:
            for variable in container["env"]:
                assert ("KEY" in variable["name"] or "ROOT" in variable["name"]) == ("valueFrom" in variable)


def test_a_volume_keeps_the_size_that_it_was_made_with() -> None:
    live = build_minio("team", Minio("minio"), SETTINGS, None)
    larger = SETTINGS.model_copy(update={"minio_volume": "1Ti"})
    assert build_minio("team", Minio("minio"), larger, live) == live


def test_mlflow_without_a_store_keeps_artifacts_on_its_own_volume() -> None:
    containers = SETS[2]["spec"]["template"]["spec"]["containers"]
    assert "--artifacts-destination=/data/artifacts" in containers[0]["args"]
    assert not [each for container in containers for each in container["env"] if each["name"].startswith("AWS_")]


def ingress(host: str | None, service: str) -> dict[str, Any]:
    path = {"path": "/", "backend": {"service": {"name": service, "port": {"name": "http"}}}}
    return {"spec": {"rules": [({"host": host} if host else {}) | {"http": {"paths": [path]}}]}}


def test_mlflow_lets_in_the_hosts_of_its_ingresses_with_any_port_and_their_pages() -> None:
    found = find_hosts(
        MLFLOW,
        [
            ingress("mlflow.test", "imageclassifier-mlflow"),
            ingress("other.test", "other"),
            ingress(None, "imageclassifier-mlflow"),
            {"spec": {"defaultBackend": {"service": {"name": "imageclassifier-mlflow"}}}},
        ],
    )
    assert found == ["mlflow.test"]
    container = build_mlflow("team", MLFLOW, found, SETTINGS, None, None)["spec"]["template"]["spec"]["containers"][0]
    values = {variable["name"]: variable.get("value", "").split(",") for variable in container["env"]}
    hosts, origins = values["MLFLOW_SERVER_ALLOWED_HOSTS"], values["MLFLOW_SERVER_CORS_ALLOWED_ORIGINS"]
    assert {"imageclassifier-mlflow.team.svc:5000", "mlflow.test", "mlflow.test:*", "localhost:*"} <= set(hosts)
    assert {"http://mlflow.test", "https://mlflow.test:*"} <= set(origins)
    assert "*" not in hosts + origins


def test_an_ingress_leads_to_something_shared_or_not() -> None:
    assert leads_to_shared(ingress("a.test", "imageclassifier-mlflow")["spec"])
    assert not leads_to_shared(ingress("a.test", "photos")["spec"])
    assert not leads_to_shared({})


def test_mlflow_trusts_the_operators_authorities_where_its_store_speaks_tls() -> None:
    def template_of(storage: Storage, ca_bundle: str | None) -> dict[str, Any]:
        made = build_mlflow("team", Mlflow("mlflow", storage), [], SETTINGS, ca_bundle, None)
        template: dict[str, Any] = made["spec"]["template"]
        return template

    template = template_of(BEHIND_TLS, "PEM")
    assert template["metadata"]["annotations"] == {"imageclassifier.dev/ca": "PEM"}
    assert [container["name"] for container in template["spec"]["initContainers"]] == ["authorities", "database"]
    trusted = {"name": "AWS_CA_BUNDLE", "value": TRUSTED}
    assert [trusted in container["env"] for container in template["spec"]["containers"]] == [True, True]
    assert {volume["name"] for volume in template["spec"]["volumes"]} == {"tmp", "ca"}
    assert template_of(STORE, "PEM") == template_of(STORE, None)
