"""Write what follows from the operator's spec and the reference, or, with --check, say whether the files hold it."""

import json
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from classifier_inference.spec.tracking import MANAGED_PREFIX
from classifier_operator.crd import build_crd
from classifier_operator.spec import NAME_LIMIT
from tools import figures

KUBERNETES = "v1.34.0"
ROOT = Path(__file__).resolve().parent.parent
REFERENCE = "tests/reference.py"
HEADER = "Generated from operator/classifier_operator/spec.py by `make generate`; not edited by hand."
Schema = dict[str, Any]
INTRODUCTION = (
    f"`metadata.name` has at most {NAME_LIMIT} characters: lower-case letters, digits and hyphens, a letter first; not",
    f"`{MANAGED_PREFIX}…`. The Service has this name too, and port 80. Times are written as `500ms`, `60s`, `1h30m` or",
    "`30d`, quantities as `10485760`, `10Mi` or `10M`.",
    "",
    "A change makes new pods, but for one of `replicas`, `rollout` or of `route.ingress` other than its `path`.",
)


def read_kubernetes_types() -> Schema:
    """Return the JSON schemas of Kubernetes' own types, out of kubernetes-validate, without their descriptions."""
    folder = files("kubernetes_validate") / "kubernetes-json-schema" / f"{KUBERNETES}-local"
    definitions = json.loads((folder / "_definitions.json").read_text())
    return {name: _undescribed(schema) for name, schema in definitions["$defs"].items()}


def render_reference(crd: Schema) -> str:
    """Return the page that lists every field of the object."""
    (version,) = crd["spec"]["versions"]
    parts = version["schema"]["openAPIV3Schema"]["properties"]
    lines = [
        "# The object, field by field",
        "",
        f"<!-- {HEADER} -->",
        "",
        f"`apiVersion: {crd['spec']['group']}/{version['name']}`, `kind: {crd['spec']['names']['kind']}`; "
        "a field marked * has to be there.",
        "",
        *INTRODUCTION,
    ]
    for part in ("spec", "status"):
        lines += ["", f"## {part}", "", "| field | type | meaning |", "|---|---|---|", *_list_fields(parts[part], "")]
    return "\n".join(lines) + "\n"


def include_source(page: str, name: str, source: str) -> str:
    """Return the page with the source between the lines that name it."""
    begin, end = (f"<!-- {name}: {mark} -->" for mark in ("begin", "end"))
    before, rest = page.split(begin)
    return f"{before}{begin}\n```python\n{source}```\n{end}{rest.split(end)[1]}"


def _list_fields(schema: Schema, path: str) -> list[str]:
    lines = []
    for name, field in schema["properties"].items():
        here = f"{path}.{name}" if path else name
        mark = "*" if name in schema.get("required", []) else ""
        lines.append(f"| `{here}`{mark} | {_name_type(field)} | {_describe(field)} |")
        inner, suffix = (field["items"], "[]") if "items" in field else (field, "")
        if "properties" in inner and not _is_of_kubernetes(inner):
            lines += _list_fields(inner, here + suffix)
    return lines


def _name_type(field: Schema) -> str:
    if field.get("x-kubernetes-int-or-string"):
        return "quantity"
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    if "items" in field:
        return f"list of {_name_type(field['items'])}{_name_length(field)}"
    return f"{field['type']}{_name_bounds(field)}"


def _name_length(field: Schema) -> str:
    most = field.get("maxItems")
    if most is None or "enum" in field["items"]:
        return ""
    return f"; {most}" if most == field.get("minItems") else f"; {most} at most"


def _name_bounds(field: Schema) -> str:
    least, most = field.get("minimum"), field.get("maximum")
    over = "over " if field.get("exclusiveMinimum") else ""
    if least is None:
        return ""
    return f", {over}{least:g} to {most:g}" if most is not None else f", {over or 'at least '}{least:g}"


def _describe(field: Schema) -> str:
    return " ".join(field["description"].split()).replace("|", "\\|")


def _is_of_kubernetes(schema: Schema) -> bool:
    """Return whether Kubernetes documents the type: those come without descriptions."""
    return not any("description" in field for field in schema["properties"].values())


def _undescribed(schema: Any) -> Any:
    if isinstance(schema, dict):
        return {key: _undescribed(value) for key, value in schema.items() if not _is_description(key, value)}
    return [_undescribed(item) for item in schema] if isinstance(schema, list) else schema


def _is_description(key: str, value: Any) -> bool:
    return key == "description" and isinstance(value, str)


def main() -> int:
    """Return the exit status: 1 where --check finds a file that differs."""
    crd = build_crd(read_kubernetes_types())
    manifest = f"# {HEADER}\n" + yaml.safe_dump(crd, sort_keys=False, width=110)
    preprocessing = ROOT / "docs/preprocessing.md"
    wanted = {
        ROOT / "manifests/crd.yaml": manifest,
        ROOT / "charts/imageclassifier-operator/files/crd.yaml": manifest,
        ROOT / "docs/object.md": render_reference(crd),
        figures.PAGE: figures.render_page(figures.read_rows()),
        preprocessing: include_source(preprocessing.read_text(), REFERENCE, (ROOT / REFERENCE).read_text()),
    }
    stale = [path for path, text in wanted.items() if not path.is_file() or path.read_text() != text]
    if "--check" in sys.argv[1:]:
        for path in stale:
            sys.stderr.write(f"{path.relative_to(ROOT)} is not what its source gives: run `make generate`\n")
        return 1 if stale else 0
    for path in stale:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(wanted[path])
        sys.stdout.write(f"wrote {path.relative_to(ROOT)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
