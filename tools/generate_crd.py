"""Write the CRD out of the operator's spec, or, with --check, say whether the files hold what it gives."""

import json
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from classifier_operator.crd import build_crd

KUBERNETES = "v1.34.0"
HEADER = "# Generated from operator/classifier_operator/spec.py by `make generate`; not edited by hand.\n"
ROOT = Path(__file__).resolve().parent.parent
TARGETS = [ROOT / "manifests/crd.yaml", ROOT / "charts/imageclassifier-operator/files/crd.yaml"]


def read_kubernetes_types() -> dict[str, Any]:
    """Return the JSON schemas of Kubernetes' own types, out of kubernetes-validate, without their descriptions."""
    folder = files("kubernetes_validate") / "kubernetes-json-schema" / f"{KUBERNETES}-local"
    definitions = json.loads((folder / "_definitions.json").read_text())
    return {name: _undescribed(schema) for name, schema in definitions.get("$defs", definitions).items()}


def _undescribed(schema: Any) -> Any:
    if isinstance(schema, dict):
        return {key: _undescribed(value) for key, value in schema.items() if not _is_description(key, value)}
    return [_undescribed(item) for item in schema] if isinstance(schema, list) else schema


def _is_description(key: str, value: Any) -> bool:
    return key == "description" and isinstance(value, str)


def main() -> int:
    """Return the exit status: 1 where --check finds a file that differs."""
    text = HEADER + yaml.safe_dump(build_crd(read_kubernetes_types()), sort_keys=False, width=110)
    stale = [path for path in TARGETS if not path.is_file() or path.read_text() != text]
    if "--check" in sys.argv[1:]:
        for path in stale:
            sys.stderr.write(f"{path.relative_to(ROOT)} is not what spec.py gives: run `make generate`\n")
        return 1 if stale else 0
    for path in stale:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        sys.stdout.write(f"wrote {path.relative_to(ROOT)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
