"""Decide: which version of a registered model an object runs, and what is said of that. No I/O.

An alias is resolved once a revision. What was found is kept in the object's status, by the revision that the spec as
it is written makes: it outlives every child, and a spec that means the same to a pod keeps its version.
"""

from dataclasses import dataclass
from typing import Any

from classifier_inference.report.termination import Resolved, parse_termination
from classifier_inference.spec.self_test import SelfTest
from classifier_inference.spec.uri import ModelsUri, parse_uri
from classifier_operator.registry_addresses import is_of
from classifier_operator.spec import ImageClassifier

Object = dict[str, Any]


@dataclass(frozen=True)
class Resolution:
    """What a model's address in MLflow's registry stands for."""

    request: str
    """The name of the revision that the spec makes as it is written."""
    uri: str
    """The address with a version in it."""
    version: str
    source: str
    sha256: str
    latest: str
    """The version that the address named when it was last asked about: another one where an alias has moved, and none
    (empty) where it is gone.
    """

    def render(self) -> Object:
        """Return it as it stands in status."""
        return {
            "request": self.request,
            "uri": self.uri,
            "version": self.version,
            "source": self.source,
            "sha256": self.sha256,
            "latestVersion": self.latest,
        }


def find_registered(classifier: ImageClassifier) -> ModelsUri | None:
    """Return the model's address in MLflow's registry, or None for a model that lies elsewhere."""
    address = parse_uri(classifier.spec.model.uri)
    return address if isinstance(address, ModelsUri) else None


def read_kept(status: Object, request: str) -> Resolution | None:
    """Return what status says was found for the same spec, or None."""
    kept = status.get("resolved") or {}
    if kept.get("request") != request:
        return None
    try:
        return Resolution(
            request,
            kept["uri"],
            kept["version"],
            kept["source"],
            kept["sha256"],
            kept.get("latestVersion", kept["version"]),
        )
    except KeyError:
        return None


def read_note(pods: list[Object]) -> Resolved | None:
    """Return what a Job's pod found, or None while none has."""
    for pod in pods:
        for container in pod.get("status", {}).get("containerStatuses", []):
            ended = container.get("state", {}).get("terminated", {})
            note = parse_termination(ended.get("message") or "")
            if isinstance(note, Resolved):
                return note
    return None


def apply_resolution(classifier: ImageClassifier, address: ModelsUri, found: Resolution) -> ImageClassifier:
    """Return the object with the version in place of the alias, wherever it stands, and with the model's digest."""
    spec = classifier.spec
    model = spec.model
    changes: Object = {"uri": found.uri, "sha256": model.sha256 or found.sha256}
    if "version" not in model.model_fields_set:
        changes["version"] = found.version
    if model.labels.uri is not None:
        changes["labels"] = model.labels.model_copy(update={"uri": _pin(model.labels.uri, address, found)})
    pinned: Object = {"model": model.model_copy(update=changes)}
    if spec.self_test:
        pinned["self_test"] = [_pin_test(test, address, found) for test in spec.self_test]
    return ImageClassifier(classifier.identity, spec.model_copy(update=pinned))


def describe_moved(resolved: Object) -> str | None:
    """Return what is to be said where an alias no more names the version that `status.resolved` has, or None."""
    latest = resolved.get("latestVersion")
    if latest == resolved.get("version"):
        return None
    if not latest:
        return "the alias names no version any more, which the next change of the spec needs"
    return f"the alias names version {latest} by now, which the next change of the spec takes"


def _pin(uri: str, model: ModelsUri, found: Resolution) -> str:
    address = parse_uri(uri)
    if isinstance(address, ModelsUri) and address.alias is not None and is_of(address, model):
        return str(address.at(found.version))
    return uri


def _pin_test(test: SelfTest, model: ModelsUri, found: Resolution) -> SelfTest:
    image = test.image.model_copy(update={"uri": _pin(test.image.uri, model, found)})
    return test.model_copy(update={"image": image})
