"""What a classifier is: model, labels, preprocessing, limits, device. No I/O.

The same models read the object in the cluster, the revision that a pod mounts, and the file that `classifier serve`
takes. The operator's spec adds what only a cluster has.
"""

from typing import Self

from pydantic import Field, model_validator

from classifier_inference.spec.fields import Document, Name, cel
from classifier_inference.spec.image_addresses import Images
from classifier_inference.spec.labelled_model import Model
from classifier_inference.spec.limits import Limits
from classifier_inference.spec.preprocessing import Preprocess
from classifier_inference.spec.runtime import Runtime
from classifier_inference.spec.self_test import SelfTest
from classifier_inference.spec.tracking import PredictionLog, Storage, Tracking

API_VERSION = "imageclassifier.dev/v1alpha1"
KIND = "ImageClassifier"
CLUSTER_FIELDS = frozenset({"replicas", "rollout", "route", "pod"})
"""Fields of an object's spec that mean nothing to a server: it passes over them."""


class Auth(Document):
    """Who may ask: whoever brings one of the API keys."""

    secret: Name = Field(
        description="A Secret of the object's namespace; the value of each of its data keys is an API key."
    )


_TRACKED = "has(self.tracking) && has(self.tracking.mode) && self.tracking.mode != 'None'"
_HAS_LABELS_URI = "has(self.model.labels.uri)"


def _is_of_model(uri: str) -> str:
    return f"(!{uri}.matches('^models:/[^/@]+@') || {uri}.startsWith(self.model.uri + '/'))"


class ClassifierSpec(Document):
    """What a server needs to know to answer, and to log what it answered."""

    model_config = cel(
        (f"!has(self.predictionLog) || {_TRACKED}", "predictionLog needs tracking with mode Managed or External"),
        *(
            (f"{unless} || {_TRACKED}", f"{field} models:/ needs tracking with mode Managed or External: which MLflow")
            for field, unless in (
                ("model.uri", "!self.model.uri.startsWith('models:/')"),
                ("labels.uri", f"!{_HAS_LABELS_URI} || !self.model.labels.uri.startsWith('models:/')"),
                ("selfTest", "!has(self.selfTest) || self.selfTest.all(t, !t.image.uri.startsWith('models:/'))"),
            )
        ),
        *(
            (rule, f"an alias in {field} must be model.uri's own, so that model and files are of one version")
            for field, rule in (
                ("labels.uri", f"!{_HAS_LABELS_URI} || {_is_of_model('self.model.labels.uri')}"),
                ("selfTest", f"!has(self.selfTest) || self.selfTest.all(t, {_is_of_model('t.image.uri')})"),
            )
        ),
    )

    model: Model
    preprocess: Preprocess = Field(default=Preprocess(), description="Default: that of ImageNet models.")
    limits: Limits = Field(default=Limits(), description="What a request may ask of the server.")
    images: Images = Field(default=Images(), description="Which addresses a request may name. Default: none.")
    auth: Auth | None = Field(default=None, description="Who may ask. Default: whoever reaches it, without an API key.")
    top_k: int = Field(
        default=5,
        ge=1,
        le=1000,
        description="How many predictions an answer holds, without model.threshold. Default: 5.",
    )
    self_test: list[SelfTest] = Field(
        default=[], max_length=16, description="Golden images that gate readiness. Default: none."
    )
    runtime: Runtime = Field(default=Runtime(), description="The device that runs the model, and what it is given.")
    tracking: Tracking = Field(default=Tracking(), description="The MLflow server that predictions are logged to.")
    storage: Storage = Field(default=Storage(), description="The S3 store that artifacts lie in.")
    prediction_log: PredictionLog = Field(default=PredictionLog(), description="What is logged. Needs tracking.")

    @model_validator(mode="after")
    def _log_has_somewhere_to_go(self) -> Self:
        if self.tracking.mode == "None" and "prediction_log" in self.model_fields_set:
            raise ValueError("predictionLog needs tracking with mode Managed or External")
        return self

    @model_validator(mode="after")
    def _self_test_labels_exist(self) -> Self:
        labels = self.model.labels.inline
        for test in self.self_test:
            if labels is not None and test.label not in labels:
                raise ValueError(f"selfTest names the label {test.label!r}, which model.labels does not have")
        return self


class Classifier(Document):
    """A named classifier: what a revision's ConfigMap holds, and what a file for `classifier serve` comes down to."""

    name: str = Field(min_length=1, max_length=63)
    spec: ClassifierSpec
