"""What is built for an object."""

import json
from typing import Any

import pytest

from classifier_inference.spec.classifier import ClassifierSpec
from classifier_operator.names import FIRST_SLOT
from classifier_operator.resources.config_map import build_config_map, read_ca_bundle
from classifier_operator.resources.deployment import build_deployment, read_as_built
from classifier_operator.resources.ingress import build_ingress, build_url
from classifier_operator.resources.pod import build_pod_template
from classifier_operator.resources.revision import SERVING_FIELDS, build_revision
from classifier_operator.resources.service import build_service
from classifier_operator.spec import ImageClassifier
from tests.unit.operator.objects import SETTINGS, SPEC, classifier_of


def revision_name(classifier: ImageClassifier, labels: list[str] | None = None) -> str:
    return build_revision(classifier, labels).name


def template_of(ca_bundle: str | None = None, **changes: Any) -> dict[str, Any]:
    classifier = classifier_of(**changes)
    return build_pod_template(classifier, FIRST_SLOT, build_revision(classifier, None), SETTINGS, ca_bundle)


@pytest.mark.parametrize(
    "change",
    [
        {"topK": 3},
        {"model": SPEC["model"] | {"version": "2"}},
        {"limits": {"queue": 3}},
        {"runtime": {"device": "cuda"}},
        {"runtime": {"resources": {"limits": {"cpu": "2"}}}},
        {"pod": {"env": [{"name": "A", "value": "1"}]}},
        {"route": {"ingress": {"path": "/photos"}}},
        {"route": {"cors": ["https://app.example.com"]}},
        {"auth": {"secret": "photos-keys"}},
        {"images": {"allow": ["photos.example.com"]}},
        {"limits": {"bodyTimeout": "30s"}},
    ],
)
def test_what_a_pod_sees_makes_a_new_revision(change: dict[str, Any]) -> None:
    assert revision_name(classifier_of(**change)) != revision_name(classifier_of())


@pytest.mark.parametrize(
    "change",
    [
        {"replicas": 3},
        {"rollout": {"strategy": "Recreate"}},
        {"route": {"ingress": {"host": "photos.test"}}},
        {"route": {"cors": []}},
    ],
)
def test_what_no_pod_sees_makes_no_new_revision(change: dict[str, Any]) -> None:
    assert revision_name(classifier_of(**change)) == revision_name(classifier_of())


def test_quantities_that_are_the_same_make_the_same_revision() -> None:
    assert revision_name(classifier_of(limits={"bytes": "10Mi"})) == revision_name(
        classifier_of(limits={"bytes": 10485760})
    )


def test_a_field_that_is_not_set_is_not_in_the_document() -> None:
    document = json.loads(build_revision(classifier_of(topK=3), None).document)
    assert set(document["spec"]) == {"model", "topK", "runtime"}
    assert document["spec"]["runtime"] == {"device": "cpu"}


def test_the_document_holds_every_field_that_a_server_reads() -> None:
    elsewhere = {"runtime", "tracking", "storage"}  # resolved, or for the pod alone
    assert SERVING_FIELDS | elsewhere == set(ClassifierSpec.model_fields)


def test_api_keys_are_mounted_and_no_container_sees_them_but_the_server() -> None:
    spec = template_of(auth={"secret": "photos-keys"})["spec"]
    assert {"name": "keys", "secret": {"secretName": "photos-keys", "optional": True}} in spec["volumes"]
    (server,) = spec["containers"]
    (mount,) = (mount for mount in server["volumeMounts"] if mount["name"] == "keys")
    assert mount["readOnly"] is True
    assert {"name": "CLASSIFIER_API_KEYS", "value": mount["mountPath"]} in server["env"]
    assert "keys" not in {mount["name"] for each in spec["initContainers"] for mount in each.get("volumeMounts", [])}
    assert "keys" not in json.dumps(template_of())


def test_origins_are_handed_to_the_server() -> None:
    (server,) = template_of(route={"cors": ["https://a.example.com", "*"]})["spec"]["containers"]
    assert {"name": "CLASSIFIER_CORS", "value": "https://a.example.com,*"} in server["env"]


def test_labels_of_a_config_map_are_copied_into_the_document() -> None:
    model = SPEC["model"] | {"labels": {"configMap": {"name": "names", "key": "labels"}}}
    classifier = classifier_of(model=model)
    document = json.loads(build_revision(classifier, ["cat", "dog"]).document)
    assert document["spec"]["model"]["labels"] == {"inline": ["cat", "dog"]}
    assert revision_name(classifier, ["cat", "dog"]) != revision_name(classifier, ["cat", "cow"])


def test_a_template_is_kept_as_it_was_built_for_its_revision() -> None:
    classifier = classifier_of()
    revision = build_revision(classifier, None)
    template = build_pod_template(classifier, FIRST_SLOT, revision, SETTINGS, None)
    live = build_deployment(classifier, FIRST_SLOT, revision, template)
    assert read_as_built(live, revision) == template
    assert read_as_built(live, build_revision(classifier_of(topK=2), None)) is None


@pytest.mark.parametrize("noted", ["", "[]", "{", '{"revision": 1}'])
def test_an_unreadable_note_of_what_was_built_counts_as_none(noted: str) -> None:
    live = {"metadata": {"annotations": {"imageclassifier.dev/as-built": noted}}}
    assert read_as_built(live, build_revision(classifier_of(), None)) is None


def test_each_file_of_an_image_is_copied_by_an_init_container_of_that_image() -> None:
    template = template_of(
        model=SPEC["model"] | {"labels": {"uri": "https://host/labels.txt"}},
        selfTest=[{"image": {"uri": "image://photos:2/cat.jpg"}, "label": "cat"}],
    )
    containers = template["spec"]["initContainers"]
    assert [(each["name"], each["image"]) for each in containers] == [
        ("model", "registry.test/m:1"),
        ("selftest-0", "photos:2"),
        ("fetch", "server:1"),
    ]
    assert containers[0]["command"][:2] == ["cp", "/model/model.onnx"]


def test_pods_are_restricted() -> None:
    spec = template_of()["spec"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["automountServiceAccountToken"] is False
    for container in [*spec["initContainers"], *spec["containers"]]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }


def test_a_cuda_pod_asks_for_its_gpus_and_tolerates_their_taint() -> None:
    template = template_of(runtime={"device": "cuda", "gpu": {"count": 2, "resource": "nvidia.com/mig-1g.10gb"}})
    (server,) = template["spec"]["containers"]
    assert server["image"] == "server:1-gpu"
    assert server["resources"]["limits"] == {"nvidia.com/mig-1g.10gb": "2"}
    assert {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"} in template["spec"]["tolerations"]


def test_a_path_is_copied_as_it_stands_though_kubernetes_expands_commands() -> None:
    model = SPEC["model"] | {"uri": "image://registry.test/m:1/a$$b/$(HOME)"}
    (copy, *_) = template_of(model=model)["spec"]["initContainers"]
    assert copy["command"][1] == "/a$$$$b/$$(HOME)"


def test_a_cpu_pod_asks_for_no_gpu() -> None:
    template = template_of(runtime={"gpu": {"count": 2}})
    assert "tolerations" not in template["spec"]
    assert template["spec"]["containers"][0]["resources"] == {"requests": {"cpu": "100m", "memory": "256Mi"}}


def test_the_pods_fields_are_passed_on_and_ours_win() -> None:
    pod = {
        "labels": {"team": "a"},
        "annotations": {"note": "x"},
        "nodeSelector": {"disk": "ssd"},
        "tolerations": [{"key": "spot", "operator": "Exists"}],
        "affinity": {"podAntiAffinity": {}},
        "priorityClassName": "high",
        "imagePullSecrets": [{"name": "registry"}],
        "env": [{"name": "TZ", "value": "UTC"}],
    }
    template = template_of(pod=pod)
    assert template["metadata"]["labels"]["team"] == "a"
    assert template["metadata"]["labels"]["imageclassifier.dev/classifier"] == "photos"
    assert template["metadata"]["annotations"]["note"] == "x"
    for field in ("nodeSelector", "tolerations", "affinity", "priorityClassName", "imagePullSecrets"):
        assert template["spec"][field] == pod[field]
    assert {"name": "TZ", "value": "UTC"} in template["spec"]["containers"][0]["env"]


def test_the_operator_s_variables_reach_all_of_its_containers_and_the_object_s_own_come_first() -> None:
    given = {"A": "ours", "OTEL_SERVICE_NAME": "ours", "POD_NAME": "ours"}
    classifier = classifier_of(pod={"env": [{"name": "A", "value": "own"}]}, tracking={"mode": "Managed"})
    settings = SETTINGS.model_copy(update={"server_env": given})
    pod = build_pod_template(classifier, FIRST_SLOT, build_revision(classifier, None), settings, None)["spec"]
    own = [container for container in pod["initContainers"] if container["name"] in {"fetch", "recorder"}]
    assert len(own) == 2
    for container in (pod["containers"][0], *own):
        names = [variable["name"] for variable in container["env"]]
        assert len(names) == len(set(names))
        told = {variable["name"]: variable.get("value") for variable in container["env"]}
        assert (told["A"], told["OTEL_SERVICE_NAME"]) == ("own", "ours")
    for container in (pod["containers"][0], own[1]):
        assert {variable["name"]: variable for variable in container["env"]}["POD_NAME"]["valueFrom"]


def test_the_service_selects_what_the_deployment_makes() -> None:
    classifier = classifier_of()
    template = template_of()
    selector = build_service(classifier, FIRST_SLOT)["spec"]["selector"]
    selector = build_service(classifier, FIRST_SLOT)["spec"]["selector"]
    assert selector.items() <= template["metadata"]["labels"].items()
    deployment = build_deployment(classifier, FIRST_SLOT, build_revision(classifier, None), template)
    assert deployment["spec"]["selector"]["matchLabels"] == selector


def test_a_rolling_update_takes_no_pod_away_before_its_successor_is_ready() -> None:
    classifier = classifier_of()
    strategy = build_deployment(classifier, FIRST_SLOT, build_revision(classifier, None), {})["spec"]["strategy"]
    assert strategy["rollingUpdate"]["maxUnavailable"] == 0


def test_certificate_authorities_of_a_revision_stay_as_they_were_made() -> None:
    classifier = classifier_of()
    made = build_config_map(classifier.identity, build_revision(classifier, None), "old")
    assert made["immutable"] is True
    assert read_ca_bundle(made, "new") == "old"
    assert read_ca_bundle(None, "new") == "new"


@pytest.mark.parametrize("name", ["fetch", "recorder"])
def test_what_asks_other_hosts_trusts_the_operators_certificate_authorities(name: str) -> None:
    containers = template_of("some", tracking={"mode": "Managed"})["spec"]["initContainers"]
    (container,) = [each for each in containers if each["name"] == name]
    assert {"name": "CLASSIFIER_CA_FILE", "value": "/etc/classifier/ca.crt"} in container["env"]
    assert {"name": "spec", "mountPath": "/etc/classifier", "readOnly": True} in container["volumeMounts"]


@pytest.mark.parametrize(
    ("ingress", "address", "url"),
    [
        (None, None, "http://photos.team.svc"),
        ({}, None, "http://photos.team.svc"),
        ({}, {"ip": "10.0.0.1"}, "http://10.0.0.1"),
        ({"path": "/a/b"}, {"hostname": "lb.test"}, "http://lb.test/a/b"),
        ({"host": "photos.test", "tls": {"secretName": "s"}}, None, "https://photos.test"),
    ],
)
def test_the_url_is_where_clients_reach_it(
    ingress: dict[str, Any] | None, address: dict[str, str] | None, url: str
) -> None:
    classifier = classifier_of(route={"ingress": ingress} if ingress is not None else {})
    live = build_ingress(classifier)
    if live is not None and address:
        live["status"] = {"loadBalancer": {"ingress": [address]}}
    assert build_url(classifier, live) == url


def test_an_ingress_with_a_certificate_names_its_host() -> None:
    wanted = {"className": "traefik", "host": "photos.test", "path": "/x", "tls": {"secretName": "s"}}
    ingress = build_ingress(classifier_of(route={"ingress": wanted}))
    assert ingress is not None
    assert ingress["spec"]["tls"] == [{"secretName": "s", "hosts": ["photos.test"]}]
    assert ingress["spec"]["rules"][0]["host"] == "photos.test"
    assert ingress["spec"]["ingressClassName"] == "traefik"
