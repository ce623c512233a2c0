"""The table of kinds: what a row says is what is built, and what it doesn't want goes."""

from typing import Any, cast

import pytest

from classifier_inference.spec.tracking import Storage
from classifier_inference.spec.uri import ModelsUri
from classifier_operator.api_kinds import ApiKind
from classifier_operator.attempts import Attempts
from classifier_operator.cluster import Cluster
from classifier_operator.managed_stores import Minio, Mlflow, Shared
from classifier_operator.mend import Mender
from classifier_operator.names import FIRST_SLOT, build_metadata, build_selector
from classifier_operator.resources.kinds import (
    CHILDREN,
    PODS,
    QUESTION,
    ROUTE,
    SHARED,
    PodsWish,
    Question,
    QuestionWish,
    Row,
    SharedWish,
)
from classifier_operator.resources.pod import build_pod_template
from classifier_operator.resources.revision import build_revision
from tests.unit.operator.memory import Memory
from tests.unit.operator.objects import SETTINGS, classifier_of

CLASSIFIER = classifier_of(route={"ingress": {}})
IDENTITY = CLASSIFIER.identity
SCALER = ApiKind("HorizontalPodAutoscaler", "autoscaling", "v2", "horizontalpodautoscalers")


def build_children(slot: str) -> list[tuple[Row[Any], dict[str, Any]]]:
    revision = build_revision(CLASSIFIER, None)
    template = build_pod_template(CLASSIFIER, slot, revision, SETTINGS, None)
    asked = Question(ModelsUri("photos", None, "champion"), "0123456789", version_only=False)
    wishes: tuple[tuple[tuple[Row[Any], ...], Any], ...] = (
        (QUESTION, QuestionWish(CLASSIFIER, asked, SETTINGS, None)),
        (PODS, PodsWish(CLASSIFIER, slot, revision, template, None)),
        (ROUTE, CLASSIFIER),
    )
    return [(row, cast("dict[str, Any]", row.build(wish))) for rows, wish in wishes for row in rows]


@pytest.mark.parametrize("slot", [FIRST_SLOT, "green"])
def test_what_is_built_is_of_the_rows_kind_and_of_its_name(slot: str) -> None:
    built = build_children(slot)
    assert [row for row, _ in built] == list(CHILDREN)
    for row, manifest in built:
        assert (manifest["kind"], manifest["apiVersion"]) == (row.kind.name, row.kind.api_version)
        assert row.name is None or manifest["metadata"]["name"] == row.name(IDENTITY, slot)


@pytest.mark.parametrize("shared", [Minio("minio"), Mlflow("mlflow", Storage())])
def test_so_is_what_is_shared(shared: Shared) -> None:
    for row in SHARED:
        manifest = row.build(SharedWish("team", shared, [], SETTINGS, None, None))
        assert (manifest["kind"], manifest["apiVersion"]) == (row.kind.name, row.kind.api_version)
        assert manifest["metadata"]["name"] == f"imageclassifier-{shared.name}"


def test_a_second_slot_has_a_deployment_of_its_own_and_the_service_before_it() -> None:
    first, second = ({row.kind.name: each for row, each in build_children(slot)} for slot in (FIRST_SLOT, "green"))
    assert first["Deployment"]["metadata"]["name"] == "photos"
    assert second["Deployment"]["metadata"]["name"] == "photos-green"
    selector = build_selector(IDENTITY, "green")
    assert second["Deployment"]["spec"]["selector"]["matchLabels"] == selector
    assert second["Service"]["spec"]["selector"] == selector
    assert selector.items() <= second["Deployment"]["spec"]["template"]["metadata"]["labels"].items()
    assert second["Service"]["metadata"] == first["Service"]["metadata"]


async def test_a_row_is_all_that_a_new_kind_takes_to_be_made_mended_and_deleted() -> None:
    wanted = {"apiVersion": SCALER.api_version, "kind": SCALER.name, "metadata": build_metadata(IDENTITY), "spec": {}}
    row = Row[bool](SCALER, lambda wish: wanted if wish else None)
    memory = Memory()
    mender = Mender(cast("Cluster", memory), Attempts(lambda: memory.now))

    async def mend(wish: bool) -> None:
        live = await memory.get(SCALER.name, "team", "photos")
        await mender.mend_part(IDENTITY, [row], wish, {SCALER.name: {"photos": live} if live else {}})

    await mend(False)
    assert not memory.objects
    await mend(True)
    assert list(memory.objects) == [(SCALER.name, "photos")]
    foreign = memory.objects[SCALER.name, "photos"]["metadata"].pop("ownerReferences")
    await mend(False)
    assert list(memory.objects) == [(SCALER.name, "photos")]
    memory.objects[SCALER.name, "photos"]["metadata"]["ownerReferences"] = foreign
    await mend(False)
    assert not memory.objects
