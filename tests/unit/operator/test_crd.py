"""The CRD, out of the models."""

from typing import Any

import pytest

from classifier_operator.crd import build_crd
from classifier_operator.crd_check import describe_crd_problem
from classifier_operator.settings import parse_settings

CRD = build_crd({})
SCHEMA = CRD["spec"]["versions"][0]["schema"]["openAPIV3Schema"]


def nodes(schema: dict[str, Any], path: str = "") -> list[tuple[str, dict[str, Any]]]:
    below = [(f"{path}.{name}", child) for name, child in schema.get("properties", {}).items()]
    below += [(f"{path}[]", schema["items"])] if "items" in schema else []
    return [(path, schema), *(node for where, child in below for node in nodes(child, where))]


@pytest.mark.parametrize(("path", "node"), nodes(SCHEMA), ids=lambda value: value if isinstance(value, str) else "")
def test_the_schema_is_structural_and_has_no_defaults(path: str, node: dict[str, Any]) -> None:
    assert "type" in node or node.get("x-kubernetes-int-or-string"), path
    assert not {"$ref", "anyOf", "allOf", "oneOf", "default", "title", "const"} & set(node)


def test_each_field_says_what_it_is_for() -> None:
    ours = [(path, node) for path, node in nodes(SCHEMA) if path.startswith((".spec.", ".status.")) and path[-1] != "]"]
    assert [path for path, node in ours if not node.get("description")] == []


def test_a_served_schema_that_lacks_a_field_is_called_older_and_the_field_named() -> None:
    served: dict[str, Any] = {"properties": {"spec": {"properties": dict(SCHEMA["properties"]["spec"]["properties"])}}}
    assert describe_crd_problem(served) is None
    del served["properties"]["spec"]["properties"]["topK"]
    problem = describe_crd_problem(served)
    assert problem is not None
    assert "older than the operator and lacks spec.topK:" in problem


def test_a_missing_crd_is_told_with_what_to_do() -> None:
    assert "install the chart once with crds.install=true" in (describe_crd_problem(None) or "")


def test_settings_come_from_the_environment_and_empty_means_absent() -> None:
    images = {f"OPERATOR_{name}": "b" for name in ("SERVER_IMAGE_GPU", "MLFLOW_IMAGE", "MINIO_IMAGE")}
    settings = parse_settings({"OPERATOR_SERVER_IMAGE_CPU": "a", **images, "OPERATOR_CA_BUNDLE_FILE": "", "HOME": "/"})
    assert (settings.server_image_cpu, settings.ca_bundle_file, settings.watch_namespace) == ("a", None, "")


@pytest.mark.parametrize("given", ['{"CLASSIFIER_PORT": "1"}', '{"A B": "1"}', '{"A": 1}', "A=1", '["A"]'])
def test_an_environment_for_servers_that_is_none_is_refused(given: str) -> None:
    images = {f"OPERATOR_{name}_IMAGE": "b" for name in ("MLFLOW", "MINIO")}
    images |= {f"OPERATOR_SERVER_IMAGE_{name}": "b" for name in ("CPU", "GPU")}
    with pytest.raises(ValueError, match="server_env"):
        parse_settings({**images, "OPERATOR_SERVER_ENV": given})


def test_a_setting_that_does_not_exist_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="OPERATOR_SERVER_IMAGE_TPU"):
        parse_settings({"OPERATOR_SERVER_IMAGE_TPU": "x"})
