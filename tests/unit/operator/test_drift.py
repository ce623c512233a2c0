"""What counts as drift, by value and by owner."""

import copy
from typing import Any

import pytest

from classifier_operator.decide.drift import build_removal, build_replacement, decide_drift
from classifier_operator.names import MANAGER

WANTED: dict[str, Any] = {
    "kind": "Deployment",
    "metadata": {"name": "photos", "labels": {"team": "a"}},
    "spec": {
        "replicas": 1,
        "template": {
            "spec": {
                "containers": [
                    {
                        "name": "server",
                        "env": [{"name": "A", "value": "1"}, {"name": "EMPTY", "value": ""}],
                        "resources": {"requests": {"cpu": "1000m"}},
                    }
                ]
            }
        },
    },
}
OURS: dict[str, Any] = {
    "f:metadata": {"f:labels": {"f:team": {}}},
    "f:spec": {
        "f:replicas": {},
        "f:template": {
            "f:spec": {
                "f:containers": {
                    'k:{"name":"server"}': {
                        ".": {},
                        "f:name": {},
                        "f:env": {'k:{"name":"A"}': {".": {}, "f:name": {}, "f:value": {}}},
                        "f:resources": {"f:requests": {"f:cpu": {}}},
                    }
                }
            }
        },
    },
}


def entry(fields: dict[str, Any], manager: str = MANAGER, operation: str = "Apply", **more: str) -> dict[str, Any]:
    return {"manager": manager, "operation": operation, "fieldsV1": fields, **more}


def live_object(*entries: dict[str, Any]) -> dict[str, Any]:
    """What the API server makes of WANTED: defaults filled in, quantities in their canonical form."""
    live = copy.deepcopy(WANTED)
    live["metadata"] |= {"resourceVersion": "7", "uid": "u", "managedFields": list(entries) or [entry(OURS)]}
    container = live["spec"]["template"]["spec"]["containers"][0]
    container |= {"imagePullPolicy": "IfNotPresent", "resources": {"requests": {"cpu": "1"}}}
    container["env"][1] = {"name": "EMPTY"}
    live["spec"] |= {"progressDeadlineSeconds": 600}
    return live


def container_of(live: dict[str, Any]) -> dict[str, Any]:
    container: dict[str, Any] = live["spec"]["template"]["spec"]["containers"][0]
    return container


def test_defaults_and_canonical_quantities_are_no_drift() -> None:
    assert not decide_drift(WANTED, live_object())


@pytest.mark.parametrize("manager", ["kubectl-edit", "kube-controller-manager"])
def test_an_edited_value_is_applied_again(manager: str) -> None:
    live = live_object(entry(OURS), entry({"f:spec": {"f:replicas": {}}}, manager, "Update"))
    live["spec"]["replicas"] = 3
    drift = decide_drift(WANTED, live)
    assert drift.differences == (("spec", "replicas"),)
    assert drift.additions == ()


def test_a_removed_value_is_applied_again() -> None:
    live = live_object()
    del container_of(live)["env"][0]
    path = ("spec", "template", "spec", "containers", 0, "env")
    assert decide_drift(WANTED, live).differences == (path,)


def test_a_field_of_ours_that_is_wanted_no_more_is_applied_away() -> None:
    ours = copy.deepcopy(OURS)
    ours["f:spec"]["f:paused"] = {}
    live = live_object(entry(ours))
    live["spec"]["paused"] = True
    assert decide_drift(WANTED, live).differences == (("spec", "paused"),)


def test_what_others_added_to_the_spec_is_removed_deepest_and_last_first() -> None:
    added = {
        "f:spec": {
            "f:template": {
                "f:spec": {
                    "f:containers": {
                        'k:{"name":"server"}': {"f:env": {'k:{"name":"B"}': {".": {}, "f:name": {}, "f:value": {}}}},
                        'k:{"name":"sidecar"}': {".": {}, "f:name": {}, "f:image": {}},
                    },
                    "f:hostNetwork": {},
                }
            }
        }
    }
    live = live_object(entry(OURS), entry(added, "kubectl-edit", "Update"))
    container_of(live)["env"].insert(1, {"name": "B", "value": "x"})
    live["spec"]["template"]["spec"]["containers"].append({"name": "sidecar", "image": "x"})
    live["spec"]["template"]["spec"]["hostNetwork"] = True
    operations = build_removal(live, decide_drift(WANTED, live).additions)
    assert operations == [
        {"op": "test", "path": "/metadata/resourceVersion", "value": "7"},
        {"op": "remove", "path": "/spec/template/spec/hostNetwork"},
        {"op": "remove", "path": "/spec/template/spec/containers/1"},
        {"op": "remove", "path": "/spec/template/spec/containers/0/env/1"},
    ]


def test_later_items_of_a_list_are_removed_before_earlier_ones() -> None:
    keys: dict[str, Any] = {f'k:{{"name":"{name}"}}': {".": {}, "f:name": {}} for name in "BCDEFGHIJKL"}
    added = {"f:spec": {"f:template": {"f:spec": {"f:containers": {'k:{"name":"server"}': {"f:env": keys}}}}}}
    live = live_object(entry(OURS), entry(added, "kubectl-edit", "Update"))
    container_of(live)["env"] += [{"name": name} for name in "BCDEFGHIJKL"]
    indices = [path[-1] for path in decide_drift(WANTED, live).additions]
    assert indices == list(range(12, 1, -1))


def test_what_nobody_owns_is_replaced_by_what_is_wanted() -> None:
    live = live_object()
    container_of(live)["env"].append({"name": "WEBHOOK", "value": "1"})
    drift = decide_drift(WANTED, live)
    assert drift.additions == ()
    assert build_replacement(WANTED, live, drift.differences) == [
        {"op": "test", "path": "/metadata/resourceVersion", "value": "7"},
        {
            "op": "add",
            "path": "/spec/template/spec/containers/0/env",
            "value": WANTED["spec"]["template"]["spec"]["containers"][0]["env"],
        },
    ]


def test_an_added_port_is_found_by_its_default_protocol() -> None:
    wanted: dict[str, Any] = {"kind": "Service", "metadata": {}, "spec": {"ports": [{"port": 80}]}}
    added: dict[str, Any] = {"f:spec": {"f:ports": {'k:{"port":81,"protocol":"TCP"}': {".": {}, "f:port": {}}}}}
    live: dict[str, Any] = copy.deepcopy(wanted) | {"metadata": {"managedFields": [entry(added, "kubectl", "Update")]}}
    live["spec"]["ports"] = [{"port": 80, "protocol": "TCP"}, {"port": 81, "protocol": "TCP"}]
    assert decide_drift(wanted, live).additions == (("spec", "ports", 1),)


def test_a_key_that_another_added_to_a_map_owned_as_a_whole_is_removed() -> None:
    wanted: dict[str, Any] = {"kind": "Service", "metadata": {}, "spec": {"selector": {"app": "a"}}}
    owners = [entry({"f:spec": {"f:selector": {}}}), entry({"f:spec": {"f:selector": {}}}, "kubectl", "Update")]
    live: dict[str, Any] = copy.deepcopy(wanted) | {"metadata": {"managedFields": owners}}
    assert not decide_drift(wanted, live)
    live["spec"]["selector"]["extra"] = "1"
    assert decide_drift(wanted, live).additions == (("spec", "selector", "extra"),)


@pytest.mark.parametrize(
    ("fields", "more"),
    [
        ({"f:metadata": {"f:annotations": {"f:deployment.kubernetes.io/revision": {}}}}, {}),
        ({"f:metadata": {"f:labels": {"f:cost-centre": {}}}}, {}),
        ({"f:status": {"f:replicas": {}}}, {"subresource": "status"}),
    ],
)
def test_labels_annotations_and_status_of_others_are_theirs(fields: dict[str, Any], more: dict[str, str]) -> None:
    live = live_object(entry(OURS), entry(fields, "someone", "Update", **more))
    live["metadata"]["annotations"] = {"deployment.kubernetes.io/revision": "1"}
    live["metadata"]["labels"]["cost-centre"] = "7"
    live["status"] = {"replicas": 1}
    assert not decide_drift(WANTED, live)


def test_another_manager_that_owns_what_is_wanted_anyway_is_no_drift() -> None:
    live = live_object(entry(OURS), entry({"f:spec": {"f:replicas": {}}}, "kubectl", "Update"))
    assert not decide_drift(WANTED, live)
