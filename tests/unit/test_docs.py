"""What can be set, asked for or reported is documented."""

import re
from pathlib import Path

import pytest
from prometheus_client.metrics import MetricWrapperBase

from classifier_inference.http.problem import Kind
from classifier_inference.log.log_collector import NAMES as LOG_METRICS
from classifier_inference.report.sink_state import SinkReason
from classifier_inference.report.termination import Reason
from classifier_inference.telemetry.metrics import Metrics
from classifier_operator import metrics, reasons
from classifier_operator.settings import PREFIX, Settings

ROOT = Path(__file__).resolve().parents[2]
OPERATING = (ROOT / "docs/operating.md").read_text()
SERVER = (ROOT / "docs/server.md").read_text()
MODELS = (ROOT / "docs/models.md").read_text()
REASONS = {value for name, value in vars(reasons).items() if name.isupper() and isinstance(value, str)}
CODE = "".join(path.read_text() for path in sorted((ROOT / "inference/classifier_inference/cli").glob("*.py")))
VARIABLES = sorted(set(re.findall(r'envvar="(\w+)"', CODE)))


def name_metrics(holder: object) -> list[str]:
    """Return the metrics among an object's attributes, as a page names them: with the labels they have."""
    return [name_metric(metric) for metric in vars(holder).values() if isinstance(metric, MetricWrapperBase)]


def name_metric(metric: MetricWrapperBase) -> str:
    (family,) = metric.collect()
    name = f"{family.name}_total" if family.type == "counter" else family.name
    return f"{name}{{{','.join(metric._labelnames)}}}" if metric._labelnames else name


@pytest.mark.parametrize("setting", Settings.model_fields)
def test_every_setting_of_the_operator_is_documented(setting: str) -> None:
    assert f"| `{PREFIX}{setting.upper()}` |" in OPERATING


@pytest.mark.parametrize("variable", VARIABLES)
def test_every_setting_of_the_server_is_documented(variable: str) -> None:
    assert f"| `{variable}` |" in SERVER + MODELS


@pytest.mark.parametrize("reason", sorted(REASONS | set(Reason) | set(SinkReason)))
def test_every_condition_and_reason_is_documented(reason: str) -> None:
    assert f"`{reason}`" in OPERATING


@pytest.mark.parametrize("metric", name_metrics(metrics))
def test_every_metric_of_the_operator_is_documented(metric: str) -> None:
    assert f"| `{metric}` |" in OPERATING


@pytest.mark.parametrize("metric", [*name_metrics(Metrics()), *LOG_METRICS])
def test_every_metric_of_the_server_is_documented(metric: str) -> None:
    assert f"| `{metric}` |" in SERVER


@pytest.mark.parametrize("kind", Kind)
def test_every_problem_is_documented_with_its_status(kind: Kind) -> None:
    assert f"| {kind.status} | `{kind.slug}` |" in SERVER


@pytest.mark.parametrize("page", sorted([*ROOT.glob("docs/**/*.md"), *ROOT.glob("*.md")]), ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
        assert (page.parent / target).exists(), target
