"""What the span of a request says, by the semantic conventions for HTTP servers.

Import this where spans are wanted and nowhere else, as telemetry/spans.py.
https://opentelemetry.io/docs/specs/semconv/http/http-spans/
"""

import re
from collections.abc import Iterator

from opentelemetry.semconv.attributes import (
    error_attributes,
    http_attributes,
    network_attributes,
    server_attributes,
    url_attributes,
    user_agent_attributes,
)
from opentelemetry.trace import SpanContext
from starlette.datastructures import Headers
from starlette.types import Scope

from classifier_inference.http.exchange import Exchange
from classifier_inference.images.preprocess import Source
from classifier_inference.telemetry.spans import Begun, Described, Spans, Stage

MOST_TEXT = 200
"""Characters of what a client may choose freely."""

Attributes = dict[str, str | int]

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"})
_OTHER = "_OTHER"
_HOST = re.compile(r"(?P<address>\[[^]]+\]|[^:]+)(:(?P<port>[0-9]{1,5}))?")


class RequestSpans:
    """The spans of requests, from their first byte to their answer's last."""

    def __init__(self, spans: Spans) -> None:
        self.spans = spans

    def begin(self, caller: SpanContext | None) -> Begun:
        """Return the span of a request that begins now, in the trace that it brings or in one of its own."""
        return self.spans.begin(caller)

    def end(self, begun: Begun, scope: Scope, exchange: Exchange, status: int | None) -> None:
        """Have it exported, if it is sampled; `status` is what the request was answered with, None for no answer."""
        if begun.is_sampled:
            self.spans.end(begun, describe_request(scope, exchange, status))


def describe_request(scope: Scope, exchange: Exchange, status: int | None) -> Described:
    """Return what the span of a request says that was answered with a status, or not at all."""
    method = scope["method"]
    known = method if method in _METHODS else "HTTP"
    name = f"{known} {exchange.route}" if exchange.route is not None else known
    attributes = {**_describe_asked(scope), **_describe_answer(exchange, status)}
    return Described(name, attributes, tuple(_list_stages(exchange)), failed=status is None or status >= 500)


def _list_stages(exchange: Exchange) -> Iterator[Stage]:
    stages = exchange.stages
    if stages is None:
        return
    yield Stage("read", stages.started, stages.read_seconds, {})
    yield Stage("queue", stages.started + stages.read_seconds, stages.queued_seconds, {})
    for index, answer in enumerate(exchange.answers):
        of_image: Attributes = {"classifier.image.index": index} if len(exchange.answers) > 1 else {}
        if answer.decode_seconds:  # what comes as the model's own input is not decoded
            yield Stage("decode", answer.started, answer.decode_seconds, of_image | _describe_source(answer.source))
        yield Stage("infer", answer.started + answer.decode_seconds, answer.infer_seconds, of_image)


def _describe_asked(scope: Scope) -> Attributes:
    method, headers = scope["method"], Headers(scope=scope)
    described: Attributes = {
        http_attributes.HTTP_REQUEST_METHOD: method if method in _METHODS else _OTHER,
        url_attributes.URL_SCHEME: scope["scheme"],
        url_attributes.URL_PATH: scope["path"][:MOST_TEXT],
        network_attributes.NETWORK_PROTOCOL_VERSION: scope["http_version"],
    }
    if method not in _METHODS:
        described[http_attributes.HTTP_REQUEST_METHOD_ORIGINAL] = method[:MOST_TEXT]
    if host := _HOST.fullmatch(headers.get("host", "")):
        described[server_attributes.SERVER_ADDRESS] = host["address"][:MOST_TEXT]
        if host["port"]:
            described[server_attributes.SERVER_PORT] = int(host["port"])
    if agent := headers.get("user-agent"):
        described[user_agent_attributes.USER_AGENT_ORIGINAL] = agent[:MOST_TEXT]
    return described


def _describe_answer(exchange: Exchange, status: int | None) -> Attributes:
    route, problem = exchange.route, exchange.problem
    described: Attributes = {"classifier.request_id": exchange.request_id}
    if route is not None:
        described[http_attributes.HTTP_ROUTE] = route
    if problem is not None:
        described["classifier.problem"] = problem.kind.slug
    if status is not None:
        described[http_attributes.HTTP_RESPONSE_STATUS_CODE] = status
    if status is None or status >= 500:
        described[error_attributes.ERROR_TYPE] = problem.kind.slug if problem is not None else str(status or _OTHER)
    return described


def _describe_source(source: Source) -> Attributes:
    width, height = source.size
    return {
        "classifier.image.format": source.format,
        "classifier.image.width": width,
        "classifier.image.height": height,
    }
