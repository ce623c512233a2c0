"""The ConfigMap that holds a revision's document: one a revision, immutable."""

from typing import Any

from classifier_operator.api_kinds import ApiKind
from classifier_operator.names import REVISION_LABEL, build_metadata
from classifier_operator.resources.revision import Revision
from classifier_operator.spec import Identity

CONFIG_MAP = ApiKind("ConfigMap", "", "v1", "configmaps")
SPEC_DIR = "/etc/classifier"
"""Where pods find what is in it."""
DOCUMENT_KEY = "classifier.json"
CA_KEY = "ca.crt"


def build_config_map_name(identity: Identity, revision: str) -> str:
    """Return the name of the ConfigMap of a revision, by the revision's name."""
    return f"{identity.name}-{revision}"


def build_config_map(identity: Identity, revision: Revision, ca_bundle: str | None) -> dict[str, Any]:
    """Return the ConfigMap of a revision."""
    metadata = build_metadata(identity, build_config_map_name(identity, revision.name))
    metadata["labels"] = {**metadata["labels"], REVISION_LABEL: revision.name}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata,
        "immutable": True,
        "data": {DOCUMENT_KEY: revision.document} | ({CA_KEY: ca_bundle} if ca_bundle else {}),
    }


def read_ca_bundle(live: dict[str, Any] | None, configured: str | None) -> str | None:
    """Return the certificate authorities of a revision: those it was made with, also by an older operator."""
    return live.get("data", {}).get(CA_KEY) if live else configured
