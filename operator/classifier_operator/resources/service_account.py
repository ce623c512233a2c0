"""The ServiceAccount of the pods, which has no rights and no token."""

from typing import Any

from classifier_operator.api_kinds import ApiKind
from classifier_operator.names import build_metadata
from classifier_operator.spec import ImageClassifier

SERVICE_ACCOUNT = ApiKind("ServiceAccount", "", "v1", "serviceaccounts")


def build_service_account(classifier: ImageClassifier) -> dict[str, Any]:
    """Return the ServiceAccount."""
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": build_metadata(classifier.identity),
        "automountServiceAccountToken": False,
    }
