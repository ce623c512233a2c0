"""What is left of a request that has ended: its count, and its line in the log."""

import structlog
from starlette.types import Scope

from classifier_inference.http.exchange import Exchange
from classifier_inference.http.problem import Kind
from classifier_inference.telemetry.metrics import Metrics

_log = structlog.get_logger("request")


def count_request(metrics: Metrics, exchange: Exchange, status: int | None) -> None:
    """Count a prediction by how it ended, and a refusal by its reason."""
    outcome = _judge(exchange, status)
    metrics.requests.labels(outcome).inc()
    if outcome == "refused" and exchange.problem is not None:
        metrics.refusals.labels(exchange.problem.kind.slug).inc()


def _judge(exchange: Exchange, status: int | None) -> str:
    if exchange.abandoned:
        return "abandoned"
    if exchange.problem is None:
        return "answered" if status == 200 else "failed"
    return "failed" if exchange.problem.kind is Kind.INTERNAL else "refused"


def write_line(scope: Scope, exchange: Exchange, status: int | None, seconds: float) -> None:
    """Log what was asked, what was answered, and how long that took."""
    _log.info(
        "request",
        request_id=exchange.request_id,
        method=scope["method"],
        path=scope["path"],
        status=status,
        milliseconds=round(seconds * 1000, 1),
        **_describe_answer(exchange),
        **_describe_origin(exchange),
    )


def _describe_answer(exchange: Exchange) -> dict[str, object]:
    problem, answers = exchange.problem, exchange.answers
    if problem is not None:
        return {"problem": problem.kind.slug, "detail": problem.detail}
    if len(answers) == 1:
        best = answers[0].predictions[:1]
        return {"label": best[0].label, "confidence": round(best[0].confidence, 4)} if best else {"label": None}
    return {"images": len(answers)} if exchange.is_prediction else {}


def _describe_origin(exchange: Exchange) -> dict[str, object]:
    fields: dict[str, object] = {}
    if exchange.client_request_id is not None:
        fields["client_request_id"] = exchange.client_request_id
    if exchange.trace is not None:
        fields["trace_id"] = f"{exchange.trace.trace_id:032x}"
        fields["span_id"] = f"{exchange.trace.span_id:016x}"
    return fields
