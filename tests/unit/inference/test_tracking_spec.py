"""Tracking, storage and the prediction log, as an object states them."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from classifier_inference.spec.classifier import ClassifierSpec
from classifier_inference.spec.duration import parse_duration, render_duration
from tests.tiny_model import build_document

EXTERNAL = {"mode": "External", "uri": "http://mlflow:5000"}
STORE = {"mode": "External", "endpoint": "http://minio:9000", "bucket": "logs"}


def parse(**changes: Any) -> ClassifierSpec:
    return ClassifierSpec.model_validate(build_document(Path("models"), **changes)["spec"])


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"tracking": {}},
        {"tracking": {"mode": "None"}, "storage": {"mode": "None"}},
        {"tracking": {"mode": "Managed"}, "storage": {"mode": "Managed"}},
        {"tracking": {"mode": "Managed", "name": "other"}, "storage": {"mode": "Managed", "name": "other"}},
        {"tracking": EXTERNAL | {"secret": "token"}, "storage": STORE | {"secret": "keys", "region": "eu-west-1"}},
        {"tracking": EXTERNAL, "predictionLog": {"spool": "64Mi", "window": "1h", "volume": {"claim": "logs"}}},
    ],
)
def test_what_fits_is_taken(changes: dict[str, Any]) -> None:
    parse(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"predictionLog": {}}, "predictionLog needs tracking"),
        ({"tracking": {"mode": "None"}, "predictionLog": {}}, "predictionLog needs tracking"),
        ({"tracking": {"mode": "External"}}, "mode External needs uri"),
        ({"tracking": {"mode": "Managed", "uri": "http://a"}}, "no other mode takes it"),
        ({"tracking": {"mode": "External", "uri": "mlflow:5000"}}, "tracking.uri"),
        ({"tracking": {"mode": "Managed", "secret": "a"}}, "secret belongs to mode External"),
        ({"tracking": EXTERNAL | {"name": "a"}}, "name belongs to mode Managed"),
        ({"storage": STORE | {"bucket": None}}, "needs endpoint and bucket"),
        ({"storage": {"mode": "Managed", "bucket": "mlflow"}}, "no other mode takes them"),
        ({"storage": {"region": "eu-west-1"}}, "region belongs to mode External"),
        ({"tracking": EXTERNAL, "predictionLog": {"window": "60"}}, "60s, 500ms"),
        ({"tracking": EXTERNAL, "predictionLog": {"window": "2h"}}, "from 1 to 3600 seconds"),
        ({"tracking": EXTERNAL, "predictionLog": {"sample": 0}}, "sample"),
        ({"tracking": EXTERNAL, "predictionLog": {"spool": "1Ki"}}, "at least 1048576"),
        ({"tracking": EXTERNAL, "predictionLog": {"experiment": "a/b"}}, "experiment"),
        ({"tracking": EXTERNAL, "predictionLog": {"runs": "day"}}, "runs"),
    ],
)
def test_what_does_not_fit_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        parse(**changes)
    text = "; ".join(f"{'.'.join(map(str, found['loc']))}: {found['msg']}" for found in caught.value.errors())
    assert message in text


def test_a_log_reads_back_from_what_it_is_written_as() -> None:
    log = parse(tracking=EXTERNAL, predictionLog={"window": "1m30s", "retention": "30d", "spool": "2Gi"})
    written = log.model_dump(mode="json", by_alias=True, exclude_unset=True)
    assert written["predictionLog"] == {"window": "90s", "retention": "2592000s", "spool": 2 * 2**30}
    assert ClassifierSpec.model_validate(written) == log


@pytest.mark.parametrize(
    ("text", "seconds"), [("60s", 60), ("500ms", 0.5), ("1h30m", 5400), ("30d", 2592000), ("0.5s", 0.5), ("0s", 0)]
)
def test_a_duration_is_read_in_seconds(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds
    assert parse_duration(render_duration(seconds)) == seconds
