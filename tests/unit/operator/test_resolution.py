"""Models by their address in MLflow's registry: what is asked, by whom, and what becomes of the answer."""

import json
import time
from typing import Any, cast

import pytest

from classifier_inference.spec.uri import ModelsUri
from classifier_operator.attempts import Attempts
from classifier_operator.cluster import Cluster
from classifier_operator.decide.model_version import (
    Resolution,
    apply_resolution,
    describe_moved,
    find_registered,
    read_kept,
    read_note,
)
from classifier_operator.decide.registry_question import decide_inquiry
from classifier_operator.mend import Mender
from classifier_operator.names import FIRST_SLOT, PURPOSE_LABEL, REQUEST_LABEL, build_selector
from classifier_operator.reasons import ObstacleError
from classifier_operator.resources.kinds import QUESTION, QuestionWish
from classifier_operator.resources.pod import build_pod_template
from classifier_operator.resources.resolve_job import build_resolve_job, build_resolve_job_name
from classifier_operator.resources.revision import build_revision
from classifier_operator.spec import ImageClassifier, SpecError, parse_image_classifier
from tests.unit.operator.objects import SETTINGS, body_of

TRACKING = {"mode": "External", "uri": "https://mlflow.test", "secret": "mlflow-login"}
STORAGE = {
    "mode": "External",
    "endpoint": "https://s3.test",
    "bucket": "models",
    "region": "eu-1",
    "secret": "s3-login",
}
MODEL = {"uri": "models:/photos@champion", "labels": {"uri": "models:/photos@champion/labels.txt"}}
ADDRESS = ModelsUri("photos", None, "champion")
SHA256 = "a" * 64


def classifier_of(**changes: Any) -> ImageClassifier:
    return parse_image_classifier(body_of({"model": MODEL, "tracking": TRACKING, "storage": STORAGE, **changes}))


def request_of(classifier: ImageClassifier) -> str:
    return build_revision(classifier, None).name


def found(version: str = "3", latest: str | None = None, request: str = "r") -> Resolution:
    return Resolution(request, f"models:/photos/{version}", version, "s3://models/m", SHA256, latest or version)


def job_of(*, version_only: bool = False, ca_bundle: str | None = None, **changes: Any) -> dict[str, Any]:
    classifier = classifier_of(**changes)
    return build_resolve_job(classifier, ADDRESS, "0123456789", SETTINGS, ca_bundle, version_only=version_only)


def container_of(job: dict[str, Any]) -> dict[str, Any]:
    (container,) = job["spec"]["template"]["spec"]["containers"]
    return dict(container)


def test_only_a_model_in_the_registry_has_to_be_asked_for() -> None:
    assert find_registered(classifier_of()) == ADDRESS
    assert find_registered(classifier_of(model={"uri": "s3://models/m.onnx", "labels": {"inline": ["a"]}})) is None


def test_the_version_takes_the_aliass_place_wherever_it_stands() -> None:
    tests = [
        {"image": {"uri": "models:/photos@champion/cat.jpg"}, "label": "cat"},
        {"image": {"uri": "https://h/dog.jpg"}, "label": "dog"},
        {"image": {"uri": "models:/other/9/dog.jpg"}, "label": "dog"},
    ]
    spec = apply_resolution(classifier_of(selfTest=tests), ADDRESS, found()).spec
    assert (spec.model.uri, spec.model.version, spec.model.sha256) == ("models:/photos/3", "3", SHA256)
    assert spec.model.labels.uri == "models:/photos/3/labels.txt"
    uris = [test.image.uri for test in spec.self_test]
    assert uris == ["models:/photos/3/cat.jpg", "https://h/dog.jpg", "models:/other/9/dog.jpg"]


def test_what_the_object_says_of_version_and_digest_stays() -> None:
    model = MODEL | {"version": "spring", "sha256": "b" * 64}
    spec = apply_resolution(classifier_of(model=model), ADDRESS, found()).spec
    assert (spec.model.version, spec.model.sha256) == ("spring", "b" * 64)


def test_pods_are_told_the_version_its_digest_and_where_the_stores_are() -> None:
    pinned = apply_resolution(classifier_of(), ADDRESS, found())
    spec = json.loads(build_revision(pinned, None).document)["spec"]
    assert spec["model"] == {
        "uri": "models:/photos/3",
        "version": "3",
        "sha256": SHA256,
        "labels": {"uri": "models:/photos/3/labels.txt"},
    }
    assert spec["tracking"]["uri"] == "https://mlflow.test"
    assert spec["storage"]["endpoint"] == "https://s3.test"


def test_fetch_gets_the_stores_credentials_from_their_secrets_where_a_file_lies_there_and_only_then() -> None:
    assert {
        ("AWS_ACCESS_KEY_ID", "s3-login"),
        ("AWS_SECRET_ACCESS_KEY", "s3-login"),
        ("MLFLOW_TRACKING_TOKEN", "mlflow-login"),
        ("MLFLOW_TRACKING_USERNAME", "mlflow-login"),
        ("MLFLOW_TRACKING_PASSWORD", "mlflow-login"),
    } == set(secrets_of(classifier_of()))
    labels = {"inline": ["a"]}
    assert secrets_of(classifier_of(model={"uri": "https://h/m.onnx", "labels": labels})) == []
    alone = parse_image_classifier(
        body_of({"model": {"uri": "s3://models/m.onnx", "labels": labels}, "storage": STORAGE})
    )
    assert ("AWS_ACCESS_KEY_ID", "s3-login") in secrets_of(alone)
    assert json.loads(build_revision(alone, None).document)["spec"]["storage"]["endpoint"] == "https://s3.test"


def secrets_of(classifier: ImageClassifier) -> list[tuple[str, str]]:
    template = build_pod_template(classifier, FIRST_SLOT, build_revision(classifier, None), SETTINGS, None)
    (fetch,) = (each for each in template["spec"]["initContainers"] if each["name"] == "fetch")
    return [(each["name"], each["valueFrom"]["secretKeyRef"]["name"]) for each in fetch.get("env", [])]


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"tracking": {"mode": "None"}}, "spec.model.uri: models:/ is looked up in MLflow: set tracking"),
        (
            {"model": {"uri": "models:/photos/3", "labels": {"uri": "models:/photos@champion/l.txt"}}},
            "spec.model.labels.uri: an alias must be model.uri's own",
        ),
        (
            {"selfTest": [{"image": {"uri": "models:/photos@other/cat.jpg"}, "label": "cat"}]},
            "spec.selfTest[0].image.uri: an alias must be model.uri's own",
        ),
        ({"model": MODEL | {"uri": "models:/photos/3/model.onnx"}}, "names a file of a model: leave /model.onnx out"),
        ({"model": MODEL | {"labels": {"uri": "models:/photos/3"}}}, "names a model: add the path of a file of it"),
    ],
)
def test_addresses_that_do_not_fit_together_are_refused(changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(SpecError) as caught:
        classifier_of(**changes)
    assert complaint in str(caught.value)


def test_the_job_asks_in_the_objects_namespace_with_its_credentials() -> None:
    job = job_of(pod={"env": [{"name": "HTTPS_PROXY", "value": "http://proxy"}, {"name": "AWS_REGION", "value": "x"}]})
    container = container_of(job)
    assert job["metadata"]["namespace"] == "team"
    assert container["image"] == "server:1"
    assert container["args"] == ["resolve", "models:/photos@champion"]
    values = {each["name"]: each.get("value", "secret") for each in container["env"]}
    assert len(values) == len(container["env"])
    assert values == {
        "HTTPS_PROXY": "http://proxy",
        "MLFLOW_TRACKING_URI": "https://mlflow.test",
        "AWS_ENDPOINT_URL_S3": "https://s3.test",
        "AWS_REGION": "eu-1",
        "MLFLOW_TRACKING_TOKEN": "secret",
        "MLFLOW_TRACKING_USERNAME": "secret",
        "MLFLOW_TRACKING_PASSWORD": "secret",
        "AWS_ACCESS_KEY_ID": "secret",
        "AWS_SECRET_ACCESS_KEY": "secret",
    }


def test_the_job_needs_no_gpu_and_not_the_image_for_one() -> None:
    container = container_of(job_of(runtime={"device": "cuda"}))
    assert container["image"] == "server:1"
    assert set(container["resources"]) == {"requests"}


def test_the_jobs_pod_is_restricted_and_no_service_selects_it() -> None:
    job = job_of(pod={"nodeSelector": {"disk": "ssd"}})
    template = job["spec"]["template"]
    assert template["spec"]["automountServiceAccountToken"] is False
    assert template["spec"]["securityContext"]["runAsNonRoot"] is True
    assert template["spec"]["nodeSelector"] == {"disk": "ssd"}
    assert container_of(job)["securityContext"]["readOnlyRootFilesystem"] is True
    assert not build_selector(classifier_of().identity, FIRST_SLOT).items() <= template["metadata"]["labels"].items()


def test_the_job_trusts_the_operators_certificate_authorities() -> None:
    template = job_of(ca_bundle="PEM")["spec"]["template"]
    assert template["metadata"]["annotations"] == {"imageclassifier.dev/ca": "PEM"}
    assert {"name": "CLASSIFIER_CA_FILE", "value": "/etc/classifier/ca.crt"} in template["spec"]["containers"][0]["env"]


def test_the_operators_variables_reach_the_job_too_and_the_objects_own_come_first() -> None:
    settings = SETTINGS.model_copy(update={"server_env": {"HTTPS_PROXY": "all", "TZ": "UTC", "AWS_REGION": "x"}})
    classifier = classifier_of(pod={"env": [{"name": "HTTPS_PROXY", "value": "own"}]})
    job = build_resolve_job(classifier, ADDRESS, "0123456789", settings, None, version_only=False)
    told = {each["name"]: each.get("value") for each in container_of(job)["env"]}
    assert (told["HTTPS_PROXY"], told["TZ"], told["AWS_REGION"]) == ("own", "UTC", "eu-1")


def test_the_jobs_name_fits_a_label_whatever_the_objects_name() -> None:
    identity = parse_image_classifier(body_of({"model": MODEL, "tracking": TRACKING}, name="x" * 50)).identity
    assert len(build_resolve_job_name(identity, "0123456789")) <= 63


def test_an_answer_is_kept_in_status_for_the_spec_that_asked() -> None:
    kept = found(request="r1", latest="4")
    assert read_kept({"resolved": kept.render()}, "r1") == kept
    assert read_kept({"resolved": kept.render()}, "r2") is None
    assert read_kept({"resolved": {"request": "r1"}}, "r1") is None
    assert read_kept({}, "r1") is None


def test_a_moved_alias_is_told_and_one_that_stayed_is_not() -> None:
    assert describe_moved(found(latest="4").render()) == (
        "the alias names version 4 by now, which the next change of the spec takes"
    )
    assert describe_moved(found().render()) is None
    assert describe_moved(found().render() | {"latestVersion": ""}) == (
        "the alias names no version any more, which the next change of the spec needs"
    )
    assert describe_moved({}) is None


def pod_saying(note: dict[str, Any] | None, *, code: int = 0) -> dict[str, Any]:
    terminated = {"exitCode": code, "message": json.dumps(note) if note else ""}
    running = {"name": "resolve", "image": "server:1"}
    state = {"state": {"terminated": terminated}} if code == 0 else {"state": {"running": {}}}
    last = {"lastState": {"terminated": terminated}} if code else {}
    conditions = [{"type": "Ready", "status": "True"}]
    return {
        "metadata": {"name": "p"},
        "status": {"conditions": conditions, "containerStatuses": [running | state | last]},
    }


FOUND = {"version": "3", "source": "s3://models/m", "sha256": SHA256}


class Memory:
    """A cluster that holds one Job at most, and the pods it is given."""

    def __init__(self, *pods: dict[str, Any]) -> None:
        self.jobs: dict[str, dict[str, Any]] = {}
        self.pods = list(pods)
        self.deleted: list[str] = []

    async def apply(self, manifest: dict[str, Any]) -> dict[str, Any]:
        self.jobs[manifest["metadata"]["name"]] = manifest
        return manifest

    async def delete(self, live: dict[str, Any]) -> None:
        self.deleted.append(live["metadata"]["name"])
        del self.jobs[live["metadata"]["name"]]


class Resolver:
    """Asks as a reconcile does."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._mender = Mender(cast("Cluster", memory), Attempts(time.monotonic))

    async def resolve(
        self, classifier: ImageClassifier, labels: list[str] | None, status: dict[str, Any]
    ) -> tuple[ImageClassifier, Resolution | None]:
        jobs = dict(self._memory.jobs)
        request = {REQUEST_LABEL: build_revision(classifier, labels).name}
        pods = [pod | {"metadata": pod["metadata"] | {"labels": request}} for pod in self._memory.pods]
        inquiry = decide_inquiry(classifier, labels, status, [*jobs.values()], pods)
        await self._mender.delete_owned(classifier.identity, inquiry.done)
        wish = QuestionWish(classifier, inquiry.question, SETTINGS, None)
        asked = await self._mender.mend_part(classifier.identity, QUESTION, wish, {"Job": jobs})
        problem = asked.problem or inquiry.problem
        if problem is not None:
            raise ObstacleError(problem)
        return inquiry.classifier, inquiry.found


def resolver_of(memory: Memory) -> Resolver:
    return Resolver(memory)


async def test_a_job_is_made_once_and_waited_for() -> None:
    cluster = Memory()
    for _ in range(2):
        with pytest.raises(ObstacleError) as caught:
            await resolver_of(cluster).resolve(classifier_of(), None, {})
        assert caught.value.problem.reason == "Resolving"
    (job,) = cluster.jobs.values()
    assert container_of(job)["args"] == ["resolve", "models:/photos@champion"]


async def test_what_the_job_found_becomes_the_objects_model() -> None:
    classifier = classifier_of()
    pinned, resolution = await resolver_of(Memory(pod_saying(FOUND))).resolve(classifier, None, {})
    assert pinned.spec.model.uri == "models:/photos/3"
    assert resolution == found(request=request_of(classifier))


async def test_what_the_job_can_not_find_is_the_objects_problem_also_while_it_tries_again() -> None:
    failure = {"reason": "ModelNotFound", "message": "the model at models:/photos@champion: …"}
    with pytest.raises(ObstacleError) as caught:
        await resolver_of(Memory(pod_saying(failure, code=1))).resolve(classifier_of(), None, {})
    assert caught.value.problem.reason == "ModelNotFound"


async def test_an_alias_that_moved_is_seen_and_not_taken() -> None:
    classifier = classifier_of()
    status = {"resolved": found(request=request_of(classifier)).render()}
    cluster = Memory(pod_saying({"version": "4"}))
    pinned, resolution = await resolver_of(cluster).resolve(classifier, None, status)
    assert (pinned.spec.model.uri, resolution and resolution.latest) == ("models:/photos/3", "4")
    (job,) = cluster.jobs.values()
    assert "--version-only" in container_of(job)["args"]


async def test_an_alias_that_is_gone_is_told_until_it_is_back_and_what_runs_stays() -> None:
    classifier = classifier_of()
    status = {"resolved": found(request=request_of(classifier)).render()}
    missing = {"reason": "ModelNotFound", "message": "Registered model alias champion not found"}
    away = {"reason": "ModelUnreachable", "message": "MLflow does not answer"}
    for note, code, latest in ((away, 1, "3"), (missing, 1, ""), (away, 1, ""), ({"version": "3"}, 0, "3")):
        pinned, resolution = await resolver_of(Memory(pod_saying(note, code=code))).resolve(classifier, None, status)
        assert resolution is not None
        assert (pinned.spec.model.uri, resolution.latest) == ("models:/photos/3", latest)
        status = {"resolved": resolution.render()}


async def test_a_change_of_the_spec_asks_again_and_drops_the_old_question() -> None:
    classifier = classifier_of()
    status = {"resolved": found(request=request_of(classifier)).render()}
    cluster = Memory()
    await resolver_of(cluster).resolve(classifier, None, status)
    (old,) = cluster.jobs
    with pytest.raises(ObstacleError):
        await resolver_of(cluster).resolve(classifier_of(topK=3), None, status)
    assert cluster.deleted == [old]
    (job,) = cluster.jobs.values()
    assert "--version-only" not in container_of(job)["args"]


async def test_a_version_is_asked_about_once() -> None:
    classifier = classifier_of(model={"uri": "models:/photos/3", "labels": {"inline": ["a"]}})
    status = {"resolved": found(request=request_of(classifier)).render()}
    cluster = Memory()
    _, resolution = await resolver_of(cluster).resolve(classifier, None, status)
    assert resolution == found(request=request_of(classifier))
    assert not cluster.jobs


async def test_an_answer_that_lacks_the_digest_is_asked_for_anew() -> None:
    cluster = Memory(pod_saying({"version": "4"}))
    resolver = resolver_of(cluster)
    for _ in range(2):
        with pytest.raises(ObstacleError):
            await resolver.resolve(classifier_of(), None, {})
    assert len(cluster.deleted) == 1


async def test_a_model_that_lies_elsewhere_leaves_no_job_behind() -> None:
    cluster = Memory()
    with pytest.raises(ObstacleError):
        await resolver_of(cluster).resolve(classifier_of(), None, {})
    elsewhere = classifier_of(model={"uri": "s3://models/m.onnx", "labels": {"inline": ["a"]}})
    assert await resolver_of(cluster).resolve(elsewhere, None, {}) == (elsewhere, None)
    assert not cluster.jobs


def test_a_note_of_another_kind_is_no_answer() -> None:
    assert read_note([pod_saying({"sha256": SHA256, "bytes": 5})]) is None
    assert read_note([pod_saying(None)]) is None


async def test_a_job_of_an_operator_that_named_no_purpose_is_known_as_what_it_is() -> None:
    cluster = Memory()
    with pytest.raises(ObstacleError):
        await resolver_of(cluster).resolve(classifier_of(), None, {})
    (job,) = cluster.jobs.values()
    assert job["metadata"]["labels"].pop(PURPOSE_LABEL) == "resolve"
    with pytest.raises(ObstacleError):
        await resolver_of(cluster).resolve(classifier_of(), None, {})
    assert PURPOSE_LABEL not in job["metadata"]["labels"]
    with pytest.raises(ObstacleError):
        await resolver_of(cluster).resolve(classifier_of(topK=3), None, {})
    assert cluster.deleted == [job["metadata"]["name"]]


async def test_a_job_for_another_purpose_is_left_alone() -> None:
    cluster = Memory()
    other = job_of()
    other["metadata"]["labels"][PURPOSE_LABEL] = "compare"
    cluster.jobs["photos-c"] = other
    with pytest.raises(ObstacleError):
        await resolver_of(cluster).resolve(classifier_of(), None, {})
    assert cluster.deleted == []
    assert len(cluster.jobs) == 2
