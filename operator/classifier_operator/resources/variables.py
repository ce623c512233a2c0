"""The environment variables of a classifier's own containers, and whose word counts where several name one."""

from typing import Any

from classifier_operator.settings import Settings
from classifier_operator.spec import ImageClassifier

Variables = list[dict[str, Any]]


def merge_env(*parts: Variables) -> Variables:
    """Return all variables, each once: as the last part that names it has it."""
    return list({variable["name"]: variable for part in parts for variable in part}.values())


def build_given_env(classifier: ImageClassifier, settings: Settings) -> Variables:
    """Return the variables that the operator's settings give every classifier, and over them the object's own."""
    everyones = [{"name": name, "value": value} for name, value in sorted(settings.server_env.items())]
    return merge_env(everyones, [variable.model_dump() for variable in classifier.spec.pod.env])
