"""Liveness, readiness and metrics, for machines."""

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.responses import PlainTextResponse, Response

from classifier_inference.http.lifecycle import Lifecycle

PROBE_PATHS = frozenset({"/healthz", "/readyz", "/metrics", "/v2/health/live", "/v2/health/ready"})


def make_router(lifecycle: Lifecycle, registry: CollectorRegistry) -> APIRouter:
    """Return the routes."""
    router = APIRouter(tags=["probes"])

    @router.get("/healthz", response_class=PlainTextResponse)
    async def healthz() -> str:
        """Say that the process lives; nothing else is asked of it."""
        return "ok"

    @router.get("/readyz", response_class=PlainTextResponse, responses={503: {"description": "Loading or draining"}})
    async def readyz() -> Response:
        """Say whether requests should be sent here."""
        if lifecycle.is_ready:
            return PlainTextResponse("ok")
        return PlainTextResponse("draining" if lifecycle.draining else "loading", 503)

    @router.get("/metrics", response_class=PlainTextResponse)
    async def metrics() -> Response:
        """Return the metrics in Prometheus's text format."""
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return router
