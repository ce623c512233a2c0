"""Whether a server answers: what it serves by now, and whether its end has been asked for."""

from typing import Literal

from classifier_inference.http.api_keys import ApiKeys
from classifier_inference.http.problem import Kind, ProblemError
from classifier_inference.model.loaded_classifier import LoadedClassifier


class Lifecycle:
    """One server's state; changed on the event loop alone."""

    def __init__(self, api_keys: ApiKeys | None) -> None:
        self._api_keys = api_keys
        self.loaded: LoadedClassifier | None = None
        """What is served; None while it is being loaded."""
        self.draining = False
        """Whether the end has been asked for: requests are still answered, and no new ones are wanted."""

    @property
    def is_ready(self) -> bool:
        """Whether new requests should be sent here."""
        has_keys = self._api_keys is None or self._api_keys.any
        return self.loaded is not None and not self.draining and has_keys

    @property
    def status(self) -> Literal["serving", "draining", "loading"]:
        """How far it is, in a word."""
        return "loading" if self.loaded is None else "draining" if self.draining else "serving"

    def require_loaded(self) -> LoadedClassifier:
        """Return what is served. Raises ProblemError where there is nothing yet."""
        if self.loaded is None:
            raise ProblemError(Kind.NOT_READY, "the model is being loaded", {"Retry-After": "1"})
        return self.loaded
