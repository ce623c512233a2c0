"""Build: the CustomResourceDefinition, out of spec.py's models. No I/O.

A CRD takes structural schemas: OpenAPI v3 without $ref, without additionalProperties beside properties, and without
null as a type. There are no defaults in it: an object keeps what its author wrote.
"""

from typing import Any

from classifier_inference.spec.tracking import MANAGED_PREFIX
from classifier_operator.spec import GROUP, KIND, NAME_LIMIT, NAME_PATTERN, PLURAL, VERSION, ImageClassifierSpec

Schema = dict[str, Any]
_KEPT = {
    "description", "enum", "format", "items", "maxItems", "maxLength", "maxProperties", "maximum", "minItems",
    "minLength", "minimum", "pattern", "required", "type", "x-kubernetes-int-or-string",
    "x-kubernetes-preserve-unknown-fields", "x-kubernetes-validations",
}  # fmt: skip


def build_crd(kubernetes_types: Schema) -> Schema:
    """Return the CRD. `kubernetes_types` maps names such as io.k8s.api.core.v1.Affinity to their JSON schemas."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{PLURAL}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": KIND,
                "listKind": f"{KIND}List",
                "plural": PLURAL,
                "singular": KIND.lower(),
                "shortNames": ["ic"],
                "categories": ["all"],
            },
            "versions": [_build_version(kubernetes_types)],
        },
    }


def collect_fields(schema: Schema, path: str = "") -> set[str]:
    """Return the paths of all properties of an OpenAPI schema, such as `spec.model.uri`."""
    fields: set[str] = set()
    for name, child in schema.get("properties", {}).items():
        here = f"{path}.{name}" if path else name
        fields |= {here} | collect_fields(child, here)
    items = schema.get("items")
    return fields | collect_fields(items, f"{path}[]") if isinstance(items, dict) else fields


def spec_fields() -> set[str]:
    """Return the paths of the fields that this version of the operator reads, below and with `spec`."""
    return collect_fields({"properties": {"spec": _build_spec({})}})


def _build_spec(kubernetes_types: Schema) -> Schema:
    schema = ImageClassifierSpec.model_json_schema(by_alias=True)
    return _structural(schema, schema["$defs"] | kubernetes_types)


def _build_version(kubernetes_types: Schema) -> Schema:
    name_message = f"the name must be a DNS label of at most {NAME_LIMIT} characters that starts with a letter"
    return {
        "name": VERSION,
        "served": True,
        "storage": True,
        "subresources": {
            "status": {},
            "scale": {
                "specReplicasPath": ".spec.replicas",
                "statusReplicasPath": ".status.replicas",
                "labelSelectorPath": ".status.selector",
            },
        },
        "additionalPrinterColumns": [
            _column("Ready", '.status.conditions[?(@.type=="Ready")].status'),
            _column("Reason", '.status.conditions[?(@.type=="Ready")].reason'),
            _column("Version", ".status.model.version"),
            _column("Replicas", ".status.replicas", "integer"),
            _column("URL", ".status.url"),
            _column("Digest", ".status.model.sha256", priority=1),
            _column("Message", '.status.conditions[?(@.type=="Ready")].message', priority=1),
            _column("Age", ".metadata.creationTimestamp", "date"),
        ],
        "schema": {
            "openAPIV3Schema": {
                "description": "An image classifier: a model, its labels and preprocessing, served over HTTP.",
                "type": "object",
                "required": ["spec"],
                "properties": {
                    "apiVersion": {"type": "string"},
                    "kind": {"type": "string"},
                    "metadata": {"type": "object"},
                    "spec": _build_spec(kubernetes_types),
                    "status": _STATUS,
                },
                "x-kubernetes-validations": [
                    {
                        "rule": f"self.metadata.name.size() <= {NAME_LIMIT} && "
                        f"self.metadata.name.matches('{NAME_PATTERN}')",
                        "message": name_message,
                    },
                    {
                        "rule": f"!self.metadata.name.startsWith('{MANAGED_PREFIX}')",
                        "message": f"names that begin with {MANAGED_PREFIX} are the operator's",
                    },
                ],
            }
        },
    }


def _column(name: str, path: str, kind: str = "string", priority: int = 0) -> Schema:
    return {"name": name, "type": kind, "jsonPath": path} | ({"priority": priority} if priority else {})


def _structural(schema: Schema, definitions: Schema) -> Schema:
    def convert(child: Schema) -> Schema:
        return _structural(child, definitions)

    if "x-kubernetes-type" in schema:
        inner = convert(definitions.get(schema["x-kubernetes-type"], {"type": "object"}))
        described = {"description": schema["description"]}
        many = {"type": "array", "items": inner, "maxItems": schema.get("maxItems")}
        return (many if schema["x-many"] else inner) | described
    if "$ref" in schema:
        target = definitions[schema["$ref"].rsplit("/", 1)[1]]
        return convert(target | {key: value for key, value in schema.items() if key != "$ref"})
    if "anyOf" in schema:
        (wanted,) = (option for option in schema["anyOf"] if option != {"type": "null"})
        return convert(wanted | {key: value for key, value in schema.items() if key != "anyOf"})
    result = {key: value for key, value in schema.items() if key in _KEPT}
    if isinstance(result.get("type"), list):
        (result["type"],) = (name for name in result["type"] if name != "null")
    if "exclusiveMinimum" in schema:
        result |= {"minimum": schema["exclusiveMinimum"], "exclusiveMinimum": True}
    if "items" in result:
        result["items"] = convert(result["items"])
    if "properties" in schema:
        result["properties"] = {name: convert(child) for name, child in schema["properties"].items()}
    elif isinstance(schema.get("additionalProperties"), dict):
        result["additionalProperties"] = convert(schema["additionalProperties"])
    return result


def _text(description: str, **more: Any) -> Schema:
    return {"type": "string", "description": description, **more}


def _count(description: str, **more: Any) -> Schema:
    return {"type": "integer", "description": description, **more}


_CONDITION: Schema = {
    "type": "object",
    "required": ["type", "status", "reason", "message", "lastTransitionTime", "observedGeneration"],
    "properties": {
        "type": _text("Ready, ModelServed, Progressing, TrackingReady, StorageReady or RouteReady."),
        "status": _text("Whether it is so.", enum=["True", "False", "Unknown"]),
        "reason": _text("Why, in one word for programs."),
        "message": _text("Why, in a sentence for people."),
        "lastTransitionTime": _text("When the status last changed.", format="date-time"),
        "observedGeneration": _count("Which generation of the spec this was seen of.", format="int64"),
    },
}
_STATUS: Schema = {
    "description": "What was observed.",
    "type": "object",
    "properties": {
        "observedGeneration": _count("Which generation of the spec all this was seen of.", format="int64"),
        "replicas": _count("Pods that exist."),
        "selector": _text("Which pods these are."),
        "url": _text("Where it answers."),
        "model": {
            "description": "The model that answers.",
            "type": "object",
            "properties": {
                "version": _text("Its model.version."),
                "revision": _text("The revision of its pods: a hash of all that a pod sees of the spec."),
                "sha256": _text("The ONNX file's digest, as the revision's first pod found it."),
            },
        },
        "resolved": {
            "description": "What MLflow's registry said that model.uri stands for, asked once a revision.",
            "type": "object",
            "properties": {
                "request": _text("The revision that the spec makes as it is written."),
                "uri": _text("The address with the version in it."),
                "version": _text("The version."),
                "source": _text("Where its files lie."),
                "sha256": _text("The model's digest, taken of the files."),
                "latestVersion": _text("The version that the alias names by now, or empty. The next change takes it."),
            },
        },
        "conditions": {
            "type": "array",
            "description": "What is so, and what is not.",
            "items": _CONDITION,
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["type"],
        },
        "log": {
            "description": "The prediction log.",
            "type": "object",
            "properties": {
                "lost": {
                    "description": "What ended with pods before it was shipped. Absent: nothing.",
                    "type": "object",
                    "properties": {"predictions": _count("How many."), "images": _count("How many.")},
                },
            },
        },
        "lastFailure": {
            "description": "The last reason for which it was not Ready, waiting aside; kept once it is mended.",
            "type": "object",
            "properties": {
                "reason": _text("The condition's reason."),
                "message": _text("The condition's message."),
                "time": _text("When it was first seen.", format="date-time"),
            },
        },
    },
}
