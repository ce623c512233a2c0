"""Specs of all kinds, most of them nearly right: drawn from the CRD's own schema."""

import copy
from collections.abc import Iterator
from typing import Any

import yaml
from hypothesis import strategies as st

from tests.e2e.classifiers import classifier
from tests.e2e.cluster import Object
from tools.images import ROOT

Path = tuple[str, ...]
ITEM = "[]"
CRD = yaml.safe_load((ROOT / "manifests" / "crd.yaml").read_text())
SPEC = CRD["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
PASSED_ON = {"affinity", "tolerations", "topologySpreadConstraints"}
"""Kubernetes' own types, which the operator passes on as they are."""

TRACKED: Object = {
    "tracking": {"mode": "External", "uri": "http://mlflow:5000"},
    "storage": {"mode": "External", "endpoint": "http://s3:9000", "bucket": "logs"},
}
BASES = [
    classifier("any", "default")["spec"],
    classifier("any", "default", preprocess=None, **TRACKED, predictionLog={"window": "5s"})["spec"],
    classifier("any", "default", **TRACKED, model={"uri": "models:/m@a"}, route={"ingress": {}}, pod={})["spec"],
]
URIS = [
    "https://h/a", "https://", "https:///a", "https://:80", "https://u:p@h:1/a?b#c", "https://h h", "https://[::g]/a",
    "https://h\u00a0/", "https://ünï/a", "https://h:x/", "image://r/m:1/a/b$$c", "image://m:1/a/../b", "image://m/a",
    "image://m:1/./a", "image://m:1//a", "image://m\u00a0:1/a", "image://m:1/a/.../b", "image://:1/a", "image://m@x/a",
    "s3://bkt/a/..", "s3://bkt/a\\b", "s3://bkt/a//b", "s3://bkt/..a/b..", "s3://bkt/a\u2028b", "s3://bkt/a\x7f",
    "s3://b/a", "s3://bkt/a b", "models:/m/1", "models:/m/1/a", "models:/m@a", "models:/m@a/b", "models:/m@b/c",
    "models:/m\u00a0/1", "models:/a b/1", "models:/\x0bm/1", "models:/m/1/../a", "models:/m/0", "models:/m/1/a@b",
    "file:a",
]  # fmt: skip
TEXTS = [
    "a", "a.b", "a..b", "a.-b", ".a", "A", "-a", "a_b", "ü", " ", "\u00a0", "a b", "a\nb", "a\x00b", "$(A)", "None",
    "x" * 63, "x" * 64, "x" * 253, "x" * 254, "x" * 257, "imageclassifier.dev/a", "CLASSIFIER_A", "#12345g", "0" * 64,
    "/", "//", "/a", "/a/", "/a//b", "/a/../b", "/a/.b", "/a/b.c", "http://a", "http://a\u00a0b", "http://", "white",
]  # fmt: skip
DURATIONS = [
    "0s", "1s", "999ms", "1000ms", "60s", "1h", "3600.000001s", "3600.0000001s", "0.1s0.2s0.7s", "1m30s", "30d",
    "1d12h", "12h1d", "1.5d", "0d1s", "36500d", "36501d", "36500d1ms", "1d1d", "99999999999h", "1", "s", "5", "d",
]  # fmt: skip
QUANTITIES = [
    0, 1, -1, 2**20, 2**63 - 1, "0", "1", "1Mi", "1.5", "1.5Gi", "-1", "+1", "1e3", "1e-1", "1e99", "0.5", "9E", "1.",
    "8Ei", ".5Gi", "1m", "1000m", "1n", "0.99999999999", "999999999.5n", "1048575", "lots", "1 Mi",
    "9223372036854775807",
]  # fmt: skip
NUMBERS = [-1, 0, 0.3, 0.5, 1, 1.5, 2, 5, 64, 65, 223, 224, 225, 256, 257, 1000, 1001, 8192, 8193, 10000, 10001]


def specs() -> st.SearchStrategy[Object]:
    """Return specs that differ from a good one in up to three places."""
    paths = sorted(_list_paths(SPEC))
    change = st.sampled_from(paths).flatmap(lambda path: st.tuples(st.just(path), _values(_find(path), path[-1])))
    return st.builds(_change, st.sampled_from(BASES), st.lists(change, min_size=1, max_size=3))


def _list_paths(schema: Object, path: Path = ()) -> Iterator[Path]:
    for name, child in schema.get("properties", {}).items():
        if name not in PASSED_ON:
            yield (*path, name)
            yield from _list_paths(child, (*path, name))
    if path and isinstance(schema.get("items"), dict):
        yield (*path, ITEM)
        yield from _list_paths(schema["items"], (*path, ITEM))


def _find(path: Path) -> Object:
    schema: Object = SPEC
    for part in path:
        schema = schema["items"] if part == ITEM else schema["properties"][part]
    return schema


def _values(schema: Object, name: str) -> st.SearchStrategy[Any]:
    if "enum" in schema:
        return st.sampled_from([*schema["enum"], "Other"])
    if schema.get("x-kubernetes-int-or-string"):
        return st.sampled_from(QUANTITIES)
    match schema["type"]:
        case "boolean":
            return st.booleans()
        case "integer" | "number":
            return st.sampled_from(NUMBERS)
        case "string":
            return _texts(schema, name)
        case "array":
            return st.lists(_values(schema["items"], name), max_size=3)
    if "properties" not in schema:
        return st.dictionaries(st.sampled_from(TEXTS), _values(schema["additionalProperties"], name), max_size=3)
    required = set(schema.get("required", ()))
    children = {key: _values(child, key) for key, child in schema["properties"].items() if key not in PASSED_ON}
    return st.fixed_dictionaries(
        {key: values for key, values in children.items() if key in required},
        optional={key: values for key, values in children.items() if key not in required},
    )


def _texts(schema: Object, name: str) -> st.SearchStrategy[str]:
    pattern = str(schema.get("pattern", ""))
    if name == "uri" and not pattern:
        return st.sampled_from(URIS)
    if "ms|s" in pattern:
        return st.sampled_from(DURATIONS) | st.from_regex(pattern, fullmatch=True)
    drawn = st.sampled_from(TEXTS)
    # Python's regular expressions know no Unicode categories.
    return drawn | st.from_regex(pattern, fullmatch=True) if pattern and r"\p" not in pattern else drawn


def _change(base: Object, changes: list[tuple[Path, Any]]) -> Object:
    spec: Object = copy.deepcopy(base)
    for path, value in changes:
        _put(spec, path, value)
    return spec


def _put(holder: Any, path: Path, value: Any) -> None:
    """Put a value where a path leads; into a list as its only item."""
    *steps, last = path
    for step, following in zip(steps, path[1:], strict=True):
        inner: Any = [] if following == ITEM else {}
        if step == ITEM:
            holder[:] = holder[:1] or [inner]
            holder = holder[0]
        else:
            if not isinstance(holder.get(step), type(inner)):
                holder[step] = inner
            holder = holder[step]
    if last == ITEM:
        holder[:] = [value]
    else:
        holder[last] = value
