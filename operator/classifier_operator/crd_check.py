"""Say what is wrong with the CRD that the API server serves, in words that a platform engineer can act on. No I/O."""

from typing import Any

from classifier_operator.crd import collect_fields, spec_fields
from classifier_operator.names import API_VERSION
from classifier_operator.spec import KIND


def describe_crd_problem(served: dict[str, Any] | None) -> str | None:
    """Return what is wrong with the served OpenAPI schema (None: there is none), or None where all is well."""
    if served is None:
        return (
            f"this cluster has no {KIND} in {API_VERSION}: install the chart once with crds.install=true, "
            "or `kubectl apply --server-side -f manifests/crd.yaml`"
        )
    missing = sorted(spec_fields() - collect_fields(served))
    if not missing:
        return None
    return (
        f"this cluster's CRD of {KIND} is older than the operator and lacks {', '.join(missing)}: "
        "upgrade the release that installed it, or `kubectl apply --server-side -f manifests/crd.yaml`"
    )
