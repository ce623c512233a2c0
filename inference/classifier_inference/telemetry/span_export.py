"""Whether spans are exported: where OpenTelemetry's own variables name an endpoint. Otherwise nothing is imported."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import structlog

from classifier_inference.telemetry.origin import Origin

if TYPE_CHECKING:
    from classifier_inference.telemetry.spans import Spans

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_SPOKEN = "http/protobuf"

_log = structlog.get_logger("spans")


def is_wanted(environment: Mapping[str, str]) -> bool:
    """Return whether spans are to be exported. Empty variables count as absent, as OpenTelemetry has it."""
    exporters = environment.get("OTEL_TRACES_EXPORTER") or "otlp"
    if environment.get("OTEL_SDK_DISABLED", "").lower() == "true" or "otlp" not in exporters.split(","):
        return False
    return any(environment.get(name) for name in ENDPOINTS)


def open_spans(environment: Mapping[str, str], origin: Origin) -> "Spans | None":
    """Return what exports spans, or None. Whatever speaks against it is one line in the log, and stops no server."""
    if not is_wanted(environment):
        return None
    protocol = next((environment[name] for name in _PROTOCOLS if environment.get(name)), _SPOKEN)
    if protocol != _SPOKEN:
        _log.warning("spans are not exported: another protocol is asked for", asked=protocol, spoken=_SPOKEN)
        return None
    try:
        from classifier_inference.telemetry.spans import Spans

        return Spans(origin)
    except ImportError as error:
        _log.warning("spans are not exported: install imageclassifier[otel]", missing=error.name)
    except Exception as error:  # noqa: BLE001 - of a variable that can't be understood, and there are dozens
        _log.warning("spans are not exported: OpenTelemetry takes no such settings", error=str(error))
    return None
