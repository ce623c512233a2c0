"""When spans are exported."""

import pytest

from classifier_inference.telemetry.span_export import is_wanted

BASE = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}


@pytest.mark.parametrize(
    ("environment", "wanted"),
    [
        ({}, False),
        (BASE, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:4318/v1/traces"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, False),
        ({"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://collector:4318"}, False),
        ({**BASE, "OTEL_SDK_DISABLED": "true"}, False),
        ({**BASE, "OTEL_SDK_DISABLED": "false"}, True),
        ({**BASE, "OTEL_TRACES_EXPORTER": "none"}, False),
        ({**BASE, "OTEL_TRACES_EXPORTER": ""}, True),
        ({**BASE, "OTEL_TRACES_EXPORTER": "console,otlp"}, True),
    ],
)
def test_spans_are_wanted_where_an_endpoint_is_named(environment: dict[str, str], wanted: bool) -> None:
    assert is_wanted(environment) is wanted
