"""MLflow: the tracking server that the objects of a namespace share, with SQLite on its volume."""

from collections.abc import Mapping
from typing import Any

from classifier_inference.spec.tracking import MANAGED_PREFIX
from classifier_operator.managed_stores import Mlflow, build_artifact_root
from classifier_operator.names import MLFLOW_PORT, build_shared_name
from classifier_operator.resources import restricted
from classifier_operator.resources.credentials import KEY, KEY_ID, build_secret_env
from classifier_operator.resources.http_probe import build_probe
from classifier_operator.resources.mounted_authorities import AUTHORITIES_FILE, build_annotated_authorities
from classifier_operator.resources.stateful_set import DATA_DIR, build_container, build_stateful_set
from classifier_operator.settings import Settings

Object = dict[str, Any]
DATABASE = f"sqlite:///{DATA_DIR}/mlflow.db"
OWN_ARTIFACTS = f"{DATA_DIR}/artifacts"
SLOW_START_SECONDS = 300
COLLECT_SECONDS = 6 * 3600
DELETED_RUNS_KEPT = "7d"
TRUSTED = "/tmp/authorities.pem"  # noqa: S108 - the pod's own


def build_mlflow(
    namespace: str, mlflow: Mlflow, hosts: list[str], settings: Settings, ca_bundle: str | None, live: Object | None
) -> Object:
    """Return the StatefulSet. `hosts` are those by which Ingresses lead to it."""
    store_env, init_containers = _build_store_env(mlflow), [_build_migration(settings)]
    is_behind_tls = (mlflow.storage.endpoint or "").startswith("https:")
    annotations, volumes, mounts = build_annotated_authorities(ca_bundle if is_behind_tls else None)
    if mounts:
        init_containers.insert(0, _build_trust(settings, mounts))
        store_env.append({"name": "AWS_CA_BUNDLE", "value": TRUSTED})
    pod = {
        "initContainers": init_containers,
        "containers": [
            _build_server(namespace, mlflow, hosts, settings, store_env),
            _build_collector(settings, store_env),
        ],
        "volumes": [restricted.TMP_VOLUME, *volumes],
    }
    return build_stateful_set(namespace, mlflow.name, pod, settings.mlflow_volume, live, annotations)


def find_hosts(mlflow: Mlflow, ingresses: list[Object]) -> list[str]:
    """Return the hosts of the Ingresses that lead to the server, in order. An Ingress for any host gives none."""
    service = build_shared_name(mlflow.name)
    return sorted(
        {
            rule["host"]
            for ingress in ingresses
            for rule in ingress["spec"].get("rules") or []
            if rule.get("host") and service in _list_backends(rule)
        }
    )


def leads_to_shared(spec: Mapping[str, Any]) -> bool:
    """Return whether an Ingress, by its spec, leads to something shared."""
    backends = (backend for rule in spec.get("rules") or [] for backend in _list_backends(rule))
    return any(backend.startswith(MANAGED_PREFIX) for backend in backends)


def _list_backends(rule: Mapping[str, Any]) -> list[str]:
    paths = (rule.get("http") or {}).get("paths") or []
    return [path["backend"]["service"]["name"] for path in paths if "service" in path.get("backend", {})]


def _build_trust(settings: Settings, mounts: list[Object]) -> Object:
    """Return the container that puts the operator's certificate authorities beside the usual ones, for boto3."""
    container = build_container(
        "authorities",
        settings.mlflow_image,
        settings,
        command=["sh", "-c", f'cat "$(python -m certifi)" {AUTHORITIES_FILE} > {TRUSTED}'],
    )
    return container | {"volumeMounts": [*container["volumeMounts"], *mounts]}


def _build_migration(settings: Settings) -> Object:
    """Return the container that brings the database to what the image's MLflow reads: it refuses an older one."""
    return build_container("database", settings.mlflow_image, settings, args=["db", "upgrade", DATABASE])


def _build_server(
    namespace: str, mlflow: Mlflow, hosts: list[str], settings: Settings, store_env: list[Object]
) -> Object:
    return build_container(
        "mlflow",
        settings.mlflow_image,
        settings,
        args=[
            "server",
            "--host=0.0.0.0",
            f"--port={MLFLOW_PORT}",
            # SQLite has one writer, and each process takes 300 MB.
            "--workers=1",
            f"--backend-store-uri={DATABASE}",
            *_build_artifact_arguments(mlflow),
        ],
        env=[
            {"name": "MLFLOW_SERVER_ALLOWED_HOSTS", "value": ",".join(_list_hosts(namespace, mlflow, hosts))},
            {"name": "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS", "value": ",".join(_list_origins(hosts))},
            {"name": "MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "value": "false"},
            *store_env,
        ],
        ports=[{"name": "http", "containerPort": MLFLOW_PORT}],
        resources={"requests": {"cpu": "100m", "memory": "512Mi"}},
        startupProbe=build_probe("/health", period=2, failures=SLOW_START_SECONDS // 2),
        readinessProbe=build_probe("/health", period=5, failures=3),
        livenessProbe=build_probe("/health", period=20, failures=6),
    )


def _build_collector(settings: Settings, store_env: list[Object]) -> Object:
    """Return the container that takes deleted runs out of the database: MLflow itself only marks them.

    A shell whose children are waited for ends at once when it is told to.
    """
    collect = (
        f"mlflow gc --backend-store-uri={DATABASE} --tracking-uri=http://localhost:{MLFLOW_PORT} "
        f"--older-than={DELETED_RUNS_KEPT}"
    )
    return build_container(
        "gc",
        settings.mlflow_image,
        settings,
        command=[
            "sh",
            "-c",
            f"trap exit TERM; while true; do sleep {COLLECT_SECONDS} & wait $!; {collect} & wait $!; done",
        ],
        env=store_env,
        resources={"requests": {"cpu": "10m", "memory": "32Mi"}},
    )


def _build_artifact_arguments(mlflow: Mlflow) -> list[str]:
    """Return where artifacts go: straight to the store by clients that have its keys, or through the server."""
    if mlflow.storage.mode == "None":
        return [f"--artifacts-destination={OWN_ARTIFACTS}"]
    root = build_artifact_root(mlflow.storage)
    return [f"--default-artifact-root={root}", f"--artifacts-destination={root}"]


def _build_store_env(mlflow: Mlflow) -> list[Object]:
    storage = mlflow.storage
    if storage.mode == "None":
        return []
    keys = (("AWS_ACCESS_KEY_ID", KEY_ID), ("AWS_SECRET_ACCESS_KEY", KEY)) if storage.secret else ()
    return [
        {"name": "MLFLOW_S3_ENDPOINT_URL", "value": storage.endpoint},
        {"name": "AWS_DEFAULT_REGION", "value": storage.region or "us-east-1"},
        *(build_secret_env(variable, storage.secret or "", key) for variable, key in keys),
    ]


def _list_hosts(namespace: str, mlflow: Mlflow, hosts: list[str]) -> list[str]:
    """Return the Host headers that are let in: as they come, with the port where it isn't the scheme's own."""
    service = build_shared_name(mlflow.name)
    own = [service, *(f"{service}.{namespace}{suffix}" for suffix in ("", ".svc", ".svc.cluster.local"))]
    # kubectl port-forward comes as localhost, with whichever port it was given.
    named = ["localhost", "127.0.0.1", *hosts]
    return [*(f"{host}:{MLFLOW_PORT}" for host in own), *named, *(f"{host}:*" for host in named)]


def _list_origins(hosts: list[str]) -> list[str]:
    """Return the origins whose pages may write: MLflow's own, as browsers see it. localhost may anyway."""
    names = [f"{scheme}://{host}" for host in hosts for scheme in ("http", "https")]
    return [*names, *(f"{name}:*" for name in names)]
