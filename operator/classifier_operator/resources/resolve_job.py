"""The Job that asks MLflow's registry which version of a model an address stands for.

The operator itself calls no address that an object names: this runs in the object's namespace, with its credentials.
"""

from typing import Any

from classifier_inference.spec.uri import ModelsUri
from classifier_operator.api_kinds import ApiKind
from classifier_operator.managed_stores import resolve_storage, resolve_tracking
from classifier_operator.names import PURPOSE_LABEL, REQUEST_LABEL, build_labels, build_metadata
from classifier_operator.resources import restricted
from classifier_operator.resources.literal import escape
from classifier_operator.resources.mounted_authorities import build_annotated_authorities, build_ca_env
from classifier_operator.resources.recorder_sidecar import build_credentials_env
from classifier_operator.resources.variables import build_given_env, merge_env
from classifier_operator.settings import Settings
from classifier_operator.spec import Identity, ImageClassifier

JOB = ApiKind("Job", "batch", "v1", "jobs")
Object = dict[str, Any]
PURPOSE = "resolve"
KEPT_SECONDS = 300
"""How long a Job that is done is kept. It is made anew for an alias, and so says within that time that it has moved."""
_PASSED_ON = {"node_selector", "tolerations", "priority_class_name", "image_pull_secrets"}


def build_resolve_job_name(identity: Identity, request: str) -> str:
    """Return the Job's name; it fits the 63 characters of a label."""
    return f"{identity.name}-r-{request}"


def is_resolve_job(live: Object) -> bool:
    """Return whether a Job of an object's asks the registry. Before Jobs carried their purpose, all of them did."""
    purpose: str = live["metadata"].get("labels", {}).get(PURPOSE_LABEL, PURPOSE)
    return purpose == PURPOSE


def build_resolve_job(
    classifier: ImageClassifier,
    address: ModelsUri,
    request: str,
    settings: Settings,
    ca_bundle: str | None,
    *,
    version_only: bool,
) -> Object:
    """Return the Job; with `version_only` it asks which version an alias names, and downloads nothing."""
    identity, pod = classifier.identity, classifier.spec.pod
    metadata = build_metadata(identity, build_resolve_job_name(identity, request))
    labels = {**metadata["labels"], REQUEST_LABEL: request, PURPOSE_LABEL: PURPOSE}
    annotations, volumes, mounts = build_annotated_authorities(ca_bundle)
    container = {
        "name": "resolve",
        # Also for device cuda: it computes nothing, and the gpu image has gigabytes.
        "image": settings.server_image_cpu,
        "imagePullPolicy": settings.image_pull_policy,
        "args": ["resolve", escape(str(address)), *(["--version-only"] if version_only else [])],
        "env": merge_env(
            build_given_env(classifier, settings),
            _build_places_env(classifier),
            build_credentials_env(classifier),
            build_ca_env(ca_bundle),
        ),
        "resources": {"requests": {"cpu": "50m", "memory": "128Mi"}},
        "securityContext": restricted.CONTAINER,
        "terminationMessagePolicy": "FallbackToLogsOnError",
        # The model passes through here on its way into the digest: no bound but the node's.
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}, *mounts],  # noqa: S108 - the pod's own
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": metadata | {"labels": labels},
        "spec": {
            # The kubelet starts it again with growing delay, as it does an init container, until there is an answer.
            "backoffLimit": 1_000_000,
            "ttlSecondsAfterFinished": KEPT_SECONDS,
            "template": {
                "metadata": {
                    "labels": {**pod.labels, **build_labels(identity), REQUEST_LABEL: request},
                    "annotations": pod.annotations | annotations,
                },
                "spec": {
                    "restartPolicy": "OnFailure",
                    "automountServiceAccountToken": False,
                    "enableServiceLinks": False,
                    "securityContext": restricted.POD,
                    "containers": [container],
                    "volumes": [{"name": "tmp", "emptyDir": {}}, *volumes],
                    **pod.model_dump(by_alias=True, exclude_defaults=True, include=_PASSED_ON),
                },
            },
        },
    }


def _build_places_env(classifier: ImageClassifier) -> list[Object]:
    namespace, spec = classifier.identity.namespace, classifier.spec
    storage = resolve_storage(namespace, spec.storage)
    places = {
        "MLFLOW_TRACKING_URI": resolve_tracking(namespace, spec.tracking).uri,
        "AWS_ENDPOINT_URL_S3": storage.endpoint,
        "AWS_REGION": storage.region,
    }
    return [{"name": name, "value": escape(value)} for name, value in places.items() if value]
