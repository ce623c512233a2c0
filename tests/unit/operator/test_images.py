"""Which addresses an object lets requests name, and what its pods get for that."""

from typing import Any

import pytest

from classifier_operator.names import FIRST_SLOT
from classifier_operator.resources.pod import build_pod_template
from classifier_operator.resources.revision import build_revision
from classifier_operator.spec import SpecError
from tests.unit.operator.objects import SETTINGS, classifier_of

IMAGES: dict[str, Any] = {"allow": ["photos.example.com", "s3://photos"], "s3": {"secret": "reader"}}


def server_env(ca_bundle: str | None = None, **changes: Any) -> dict[str, Any]:
    classifier = classifier_of(**changes)
    template = build_pod_template(classifier, FIRST_SLOT, build_revision(classifier, None), SETTINGS, ca_bundle)
    return {variable["name"]: variable for variable in template["spec"]["containers"][0]["env"]}


def test_the_store_s_credentials_come_from_its_own_secret() -> None:
    env = server_env(images=IMAGES)
    for variable, key in (
        ("CLASSIFIER_IMAGES_ACCESS_KEY_ID", "accessKeyId"),
        ("CLASSIFIER_IMAGES_SECRET_ACCESS_KEY", "secretAccessKey"),
    ):
        assert env[variable]["valueFrom"] == {"secretKeyRef": {"name": "reader", "key": key}}
    assert "AWS_ACCESS_KEY_ID" not in env


@pytest.mark.parametrize("asks", [{"images": IMAGES}, {"tracking": {"mode": "Managed"}}], ids=["images", "runs"])
def test_authorities_are_for_servers_that_ask_others(asks: dict[str, Any]) -> None:
    assert server_env("PEM", **asks)["CLASSIFIER_CA_FILE"]["value"] == "/etc/classifier/ca.crt"
    assert "CLASSIFIER_CA_FILE" not in server_env(**asks)
    assert not {name for name in server_env("PEM") if name.startswith(("CLASSIFIER_CA", "CLASSIFIER_IMAGES"))}


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ({"allow": ["https://photos.example.com"]}, "spec.images.allow.0"),
        ({"allow": ["*"]}, "spec.images.allow.0"),
        ({"allow": ["s3://"]}, "spec.images.allow.0"),
        ({"allow": ["a.example"], "private": ["b.example"]}, "private names what allow has"),
        ({"allow": ["a.example"], "s3": {"secret": "reader"}}, "s3 needs s3://bucket in allow"),
    ],
)
def test_what_does_not_fit_together_is_refused_by_its_field(images: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message.replace("*", r"\*")):
        classifier_of(images=images)
