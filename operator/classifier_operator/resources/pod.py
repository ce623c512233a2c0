"""The pods' template: init containers that bring the model, and the server."""

import math
from typing import Any

from classifier_inference.spec.image_addresses import IMAGES_KEY_ID_VARIABLE, IMAGES_KEY_VARIABLE
from classifier_inference.spec.uri import Address, ImageUri, ModelsUri, S3Uri, parse_uri
from classifier_operator.names import HTTP_PORT, REVISION_LABEL, VERSION_ANNOTATION, build_labels, build_selector
from classifier_operator.resources import restricted
from classifier_operator.resources.config_map import DOCUMENT_KEY, SPEC_DIR, build_config_map_name
from classifier_operator.resources.credentials import KEY, KEY_ID, build_secret_env
from classifier_operator.resources.http_probe import build_probe
from classifier_operator.resources.literal import escape
from classifier_operator.resources.mounted_authorities import build_ca_env
from classifier_operator.resources.recorder_sidecar import (
    SPOOL_DIR,
    SPOOL_MOUNT,
    build_credentials_env,
    build_log_env,
    build_recorder,
    build_spool_volume,
)
from classifier_operator.resources.revision import Revision, build_root_path
from classifier_operator.resources.variables import build_given_env, merge_env
from classifier_operator.settings import Settings
from classifier_operator.spec import ImageClassifier

DRAIN_SECONDS = 5
GRACE_SECONDS = 40
"""The drain, then what requests in flight may need."""
MODEL_DIR = "/model"
API_KEYS_DIR = "/etc/classifier-keys"
COPY_DIR = "/imageclassifier-files"
"""Where a model's image sees the volume of MODEL_DIR: mounted there, it would hide what the image has in /model."""
_DEFAULT_REQUESTS = {"cpu": "100m", "memory": "256Mi"}
_GPU_TOLERATION = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}


def build_pod_template(
    classifier: ImageClassifier, slot: str, revision: Revision, settings: Settings, ca_bundle: str | None
) -> dict[str, Any]:
    """Return the template of a revision's pods in a slot."""
    pod = classifier.spec.pod
    identity = classifier.identity
    return {
        "metadata": {
            "labels": {
                **pod.labels,
                **build_labels(identity),
                **build_selector(identity, slot),
                REVISION_LABEL: revision.name,
            },
            "annotations": {
                "prometheus.io/scrape": "true",
                "prometheus.io/port": str(HTTP_PORT),
                "prometheus.io/path": "/metrics",
                **pod.annotations,
                VERSION_ANNOTATION: classifier.spec.model.version,
            },
        },
        "spec": {
            "serviceAccountName": identity.name,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": GRACE_SECONDS + _count_shipping_seconds(classifier),
            "securityContext": restricted.POD,
            "initContainers": [
                *_build_copies(classifier),
                _build_fetch(classifier, settings, ca_bundle),
                *_build_recorders(classifier, settings, ca_bundle),
            ],
            "containers": [_build_server(classifier, settings, ca_bundle)],
            "volumes": [
                {"name": "spec", "configMap": {"name": build_config_map_name(identity, revision.name)}},
                {"name": "model", "emptyDir": {}},
                restricted.TMP_VOLUME,
                *_build_keys_volumes(classifier),
                *([build_spool_volume(classifier)] if classifier.logs else []),
            ],
            **_build_scheduling(classifier),
        },
    }


def _count_shipping_seconds(classifier: ImageClassifier) -> int:
    return math.ceil(classifier.spec.prediction_log.ship_time) if classifier.logs else 0


def _build_scheduling(classifier: ImageClassifier) -> dict[str, Any]:
    pod = classifier.spec.pod
    passed = pod.model_dump(
        by_alias=True,
        exclude_defaults=True,
        include={
            "node_selector", "affinity", "topology_spread_constraints", "priority_class_name", "runtime_class_name",
            "image_pull_secrets",
        },
    )  # fmt: skip
    gpu = [_GPU_TOLERATION] if classifier.spec.runtime.device == "cuda" else []
    tolerations = [*pod.tolerations, *gpu]
    return passed | ({"tolerations": tolerations} if tolerations else {})


def _list_addresses(classifier: ImageClassifier) -> dict[str, Address]:
    spec = classifier.spec
    uris = {"model": spec.model.uri, "labels": spec.model.labels.uri}
    uris |= {f"selftest-{number}": test.image.uri for number, test in enumerate(spec.self_test)}
    return {name: parse_uri(uri) for name, uri in uris.items() if uri is not None}


def _is_in_stores(classifier: ImageClassifier) -> bool:
    """Return whether any file comes from a store that takes credentials."""
    return any(isinstance(address, S3Uri | ModelsUri) for address in _list_addresses(classifier).values())


def _build_copies(classifier: ImageClassifier) -> list[dict[str, Any]]:
    addresses = _list_addresses(classifier).items()
    return [_build_copy(name, address) for name, address in addresses if isinstance(address, ImageUri)]


def _build_copy(name: str, address: ImageUri) -> dict[str, Any]:
    target = "model.onnx" if name == "model" else name
    return {
        "name": name,
        "image": address.reference,
        "command": ["cp", escape(address.path), f"{COPY_DIR}/{target}"],
        "securityContext": restricted.CONTAINER,
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [{"name": "model", "mountPath": COPY_DIR}],
    }


def _build_fetch(classifier: ImageClassifier, settings: Settings, ca_bundle: str | None) -> dict[str, Any]:
    credentials = build_credentials_env(classifier) if _is_in_stores(classifier) else []
    env = merge_env(build_given_env(classifier, settings), credentials, build_ca_env(ca_bundle))
    return {
        "name": "fetch",
        **_build_image(classifier, settings),
        "args": ["fetch", f"{SPEC_DIR}/{DOCUMENT_KEY}", "--to", MODEL_DIR],
        **({"env": env} if env else {}),
        "securityContext": restricted.CONTAINER,
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [
            {"name": "spec", "mountPath": SPEC_DIR, "readOnly": True},
            {"name": "model", "mountPath": MODEL_DIR},
            restricted.TMP_MOUNT,
        ],
    }


def _build_recorders(classifier: ImageClassifier, settings: Settings, ca_bundle: str | None) -> list[dict[str, Any]]:
    if not classifier.logs:
        return []
    return [build_recorder(classifier, _build_image(classifier, settings), settings, ca_bundle)]


def _build_images_env(classifier: ImageClassifier) -> list[dict[str, Any]]:
    """Return the credentials that open the store of the images that requests may name."""
    images = classifier.spec.images
    secret = images.s3.secret if images.allow and images.s3 is not None else None
    credentials = ((IMAGES_KEY_ID_VARIABLE, KEY_ID), (IMAGES_KEY_VARIABLE, KEY)) if secret else ()
    return [build_secret_env(variable, str(secret), key) for variable, key in credentials]


def _build_server(classifier: ImageClassifier, settings: Settings, ca_bundle: str | None) -> dict[str, Any]:
    root_path, cors = build_root_path(classifier), classifier.spec.route.cors
    # It has its model from fetch: it asks others for images that requests name, and for runs.
    asks_others = classifier.logs or classifier.spec.images.allow
    ours = [
        {"name": "CLASSIFIER_PORT", "value": str(HTTP_PORT)},
        {"name": "CLASSIFIER_DRAIN_SECONDS", "value": str(DRAIN_SECONDS)},
        *([{"name": "CLASSIFIER_ROOT_PATH", "value": root_path}] if root_path else []),
        *([{"name": "CLASSIFIER_CORS", "value": ",".join(cors)}] if cors else []),
        *([{"name": "CLASSIFIER_API_KEYS", "value": API_KEYS_DIR}] if classifier.spec.auth else []),
        *(build_log_env(classifier) if classifier.logs else []),
        *_build_images_env(classifier),
        *(build_ca_env(ca_bundle) if asks_others else []),
    ]
    return {
        "name": "server",
        **_build_image(classifier, settings),
        "args": [
            *("serve", f"{SPEC_DIR}/{DOCUMENT_KEY}", "--files", MODEL_DIR),
            *(("--spool", SPOOL_DIR) if classifier.logs else ()),
        ],
        "env": merge_env(build_given_env(classifier, settings), ours),
        "ports": [{"name": "http", "containerPort": HTTP_PORT}],
        "resources": _build_resources(classifier),
        "securityContext": restricted.CONTAINER,
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "readinessProbe": build_probe("/readyz", period=1, failures=3),
        "livenessProbe": build_probe("/healthz", period=10, failures=6),
        "volumeMounts": [
            {"name": "spec", "mountPath": SPEC_DIR, "readOnly": True},
            {"name": "model", "mountPath": MODEL_DIR, "readOnly": True},
            restricted.TMP_MOUNT,
            *([SPOOL_MOUNT] if classifier.logs else []),
            *([{"name": "keys", "mountPath": API_KEYS_DIR, "readOnly": True}] if classifier.spec.auth else []),
        ],
    }


def _build_keys_volumes(classifier: ImageClassifier) -> list[dict[str, Any]]:
    """Return the volume of the API keys. Optional: a pod that can't mount says nothing, a server without keys does."""
    auth = classifier.spec.auth
    if auth is None:
        return []
    return [{"name": "keys", "secret": {"secretName": auth.secret, "optional": True}}]


def _build_image(classifier: ImageClassifier, settings: Settings) -> dict[str, str]:
    cuda = classifier.spec.runtime.device == "cuda"
    return {
        "image": settings.server_image_gpu if cuda else settings.server_image_cpu,
        "imagePullPolicy": settings.image_pull_policy,
    }


def _build_resources(classifier: ImageClassifier) -> dict[str, Any]:
    runtime = classifier.spec.runtime
    given = runtime.resources
    requests = given.requests or ({} if given.limits else _DEFAULT_REQUESTS)
    limits = dict(given.limits)
    if runtime.device == "cuda":
        limits[runtime.gpu.resource] = str(runtime.gpu.count)
    return {name: values for name, values in (("requests", requests), ("limits", limits)) if values}
