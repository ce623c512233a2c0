"""What runs are called, and what they say in numbers, params and text."""

from datetime import UTC, datetime
from pathlib import Path

import httpx2
import pytest

from classifier_inference.log.recorder.unsure import Unsure
from classifier_inference.log.runs.parquet import SCHEMA
from classifier_inference.log.runs.retention import pause_seconds
from classifier_inference.log.runs.run_files import (
    confidence_metrics,
    render_result,
    result_name,
    safe_key,
    safe_name,
)
from classifier_inference.log.runs.summary import MOST_LABELS, Summary, render_preprocess
from classifier_inference.spec.preprocessing import Preprocess
from classifier_inference.stores.mlflow_api.rest import read_credentials
from classifier_inference.stores.s3.objects import split_uri
from tests.integration.prediction_log.windows import make_record

LATENCIES = ("mean", "p50", "p90", "p99")
PAGE = Path(__file__).resolve().parents[4] / "docs/prediction-log.md"


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("cat.jpg", "cat.jpg"),
        ("photos/2026/cat.jpg", "cat.jpg"),
        ("C:\\photos\\cat.jpg", "cat.jpg"),
        ("../../etc/passwd", "passwd"),
        ("..", "image"),
        (".", "image"),
        ("", "image"),
        (None, "image"),
        ("a/", "image"),
        ("кот 猫.jpg", "кот 猫.jpg"),
        ("a?b#c%41:d.png", "a_b_c_41_d.png"),
        ("new\nline\x00.png", "new_line_.png"),
        ("\ud800.png", "_.png"),
    ],
)
def test_names_of_images_are_one_part_of_a_path(name: str | None, safe: str) -> None:
    assert safe_name(name) == safe


@pytest.mark.parametrize("name", ["x" * 300 + ".jpg", "猫" * 300 + ".jpg", "x." + "y" * 300])
def test_long_names_are_cut_and_keep_what_they_end_in(name: str) -> None:
    assert len(safe_name(name).encode()) <= 150
    assert name.endswith(".jpg") == safe_name(name).endswith(".jpg")


@pytest.mark.parametrize(
    ("label", "key"),
    [
        ("tabby", "tabby"),
        ("jack-o'-lantern", "jack-o_-lantern"),
        ("tiger cat, striped", "tiger cat_ striped"),
        ("on/off", "on_off"),
        ("..", "__"),
        (" ", "_"),
        ("château", "château"),
        ("x" * 256, "x" * 200),
    ],
)
def test_labels_become_parts_of_metric_names(label: str, key: str) -> None:
    assert safe_key(label) == key


def test_a_window_is_described_by_quantiles_and_shares() -> None:
    summary = Summary()
    for number in range(10):
        summary.add(make_record(1000 * number, confidence=(number + 1) / 10, labels=["a" if number < 7 else "b", "c"]))
    metrics = summary.render_metrics()
    assert (metrics["count"], metrics["images"]) == (10, 0)
    assert [round(metrics[f"confidence/{key}"], 6) for key in ("mean", "p10", "p50", "p90")] == [0.55, 0.1, 0.5, 0.9]
    assert (metrics["label/a"], metrics["label/b"]) == (0.7, 0.3)
    assert summary.last_time == "1970-01-01T00:00:09.000+00:00"


def test_labels_beyond_the_most_frequent_are_added_up() -> None:
    summary = Summary()
    for number in range(2 * MOST_LABELS):
        summary.add(make_record(0, labels=[f"label {number}"]))
    shares = {key: value for key, value in summary.render_metrics().items() if key.startswith("label/")}
    assert len(shares) == MOST_LABELS + 1
    assert shares["label/other"] == 0.5


def test_predictions_of_no_label_are_counted_and_have_no_share() -> None:
    summary = Summary()
    summary.add(make_record(0, labels=[]))
    assert summary.render_metrics().keys() == {"count", "images", *(f"latency_ms/{key}" for key in LATENCIES)}
    summary.add(make_record(1, labels=["a"]))
    metrics = summary.render_metrics()
    assert (metrics["count"], metrics["label/a"], metrics["confidence/mean"]) == (2, 1, 0.75)


def test_preprocessing_is_told_with_its_defaults() -> None:
    params = render_preprocess(Preprocess())
    assert params["preprocess.resize"] == "shorterSide 256"
    assert params["preprocess.crop"] == "224"
    assert params["preprocess.mean"] == "0.485, 0.456, 0.406"


def test_a_result_is_text_with_the_best_first() -> None:
    text = render_result({"image": "cat.jpg", "model version": "1\n2"}, [("tabby", 0.75), ("lynx", 0.25)])
    assert text == "image: cat.jpg\nmodel version: 1 2\n\n  1. 0.750000  tabby\n  2. 0.250000  lynx\n"
    assert (
        result_name(datetime(2026, 1, 2, 3, 4, 5, 6, UTC)) == "prediction_results/prediction_20260102T030405000006Z.txt"
    )


def test_labels_that_look_alike_keep_the_highest_confidence() -> None:
    assert confidence_metrics([("a,b", 0.6), ("a;b", 0.3)]) == {"confidence/a_b": 0.6}


@pytest.mark.parametrize(
    ("environment", "authorization"),
    [
        ({"MLFLOW_TRACKING_TOKEN": "t"}, "Bearer t"),
        ({"MLFLOW_TRACKING_USERNAME": "u", "MLFLOW_TRACKING_PASSWORD": "p"}, "Basic dTpw"),
        ({"MLFLOW_TRACKING_USERNAME": "u"}, None),
        ({}, None),
    ],
)
def test_credentials_are_those_that_mlflow_itself_reads(environment: dict[str, str], authorization: str | None) -> None:
    request = httpx2.Request("GET", "http://mlflow")
    auth = read_credentials(environment) or httpx2.Auth()
    assert next(auth.sync_auth_flow(request)).headers.get("Authorization") == authorization


@pytest.mark.parametrize(
    ("uri", "parts"),
    [
        ("s3://mlflow/artifacts/1/x", ("mlflow", "artifacts/1/x")),
        ("s3://mlflow/mlflow/a b?c#d", ("mlflow", "mlflow/a b?c#d")),
        ("s3://mlflow", ("mlflow", "")),
    ],
)
def test_addresses_of_objects_are_taken_apart(uri: str, parts: tuple[str, str]) -> None:
    assert split_uri(uri) == parts


def test_unsure_windows_are_looked_at_when_they_have_settled_also_after_a_kill(tmp_path: Path) -> None:
    now = 0.0
    unsure = Unsure(tmp_path, lambda: now)
    unsure.add("a")
    now = 30
    unsure.add("b")
    now = 60
    again = Unsure(tmp_path, lambda: now)
    assert again.list_settled() == ["a"]
    again.settle("a")
    assert "a" not in Unsure(tmp_path, lambda: now)
    assert "b" in again
    now = -3600  # somebody set the clock
    assert again.list_settled() == ["b"]


@pytest.mark.parametrize(("kept", "pause"), [(60, 10), (3600, 180), (30 * 86400, 3600)])
def test_old_runs_are_looked_for_more_often_the_shorter_they_are_kept(kept: float, pause: float) -> None:
    assert pause_seconds(kept) == pause


@pytest.mark.parametrize("column", SCHEMA.names)
def test_every_column_is_documented(column: str) -> None:
    assert f"`{column}`" in PAGE.read_text()
