"""The Secrets that open stores: the one of a managed MinIO, and how containers get what is in any."""

import secrets
from typing import Any

from classifier_operator.api_kinds import ApiKind
from classifier_operator.names import build_shared_metadata

SECRET = ApiKind("Secret", "", "v1", "secrets")
Object = dict[str, Any]
KEY_ID = "accessKeyId"
KEY = "secretAccessKey"


def build_credentials(namespace: str, name: str) -> Object:
    """Return the Secret of a MinIO, with new credentials: to be created once, and never replaced."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": build_shared_metadata(namespace, name),
        "type": "Opaque",
        "stringData": {KEY_ID: secrets.token_hex(10), KEY: secrets.token_urlsafe(30)},
    }


def build_secret_env(variable: str, secret: str, key: str, *, optional: bool = False) -> Object:
    """Return an environment variable that the kubelet fills in from a Secret."""
    reference = {"name": secret, "key": key} | ({"optional": True} if optional else {})
    return {"name": variable, "valueFrom": {"secretKeyRef": reference}}
