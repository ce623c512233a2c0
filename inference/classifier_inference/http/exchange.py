"""What is known of one request: told by whoever answers it, read where its line, its count and its span are made."""

from dataclasses import dataclass, field

from opentelemetry.trace import SpanContext
from starlette.types import Scope

from classifier_inference.http.leaving import Client
from classifier_inference.http.problem import ProblemError
from classifier_inference.http.stages import Stages
from classifier_inference.model.loaded_classifier import Answer

_KEY = "exchange"


@dataclass(slots=True)
class Exchange:
    """A request and what became of it; changed on the event loop alone."""

    request_id: str
    client_request_id: str | None
    """The client's own, if it brought one."""
    client: Client
    trace: SpanContext | None
    """Where it belongs in a trace; None where there is none."""
    route: str | None = None
    """The path of the route that it took, as OpenAPI has it."""
    has_key: bool = True
    """Whether it brought an API key, where keys are asked for."""
    is_prediction: bool = False
    stages: Stages | None = None
    """What came before the images' turn; None where that wasn't reached."""
    answers: list[Answer] = field(default_factory=list)
    """What it is answered with, image by image."""
    problem: ProblemError | None = None
    """Why it isn't."""
    abandoned: bool = False
    """Whether its client went away before its turn."""


def put_exchange(scope: Scope, exchange: Exchange) -> None:
    """Have whoever handles the request find what is known of it."""
    scope["state"][_KEY] = exchange


def find_exchange(scope: Scope) -> Exchange:
    """Return what is known of a request."""
    exchange: Exchange = scope["state"][_KEY]
    return exchange
