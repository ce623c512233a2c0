"""What can be set, asked for or reported is documented."""

import re
from pathlib import Path

import pytest
from prometheus_client.metrics import MetricWrapperBase

from classifier_inference.termination import Reason
from classifier_operator import metrics, reasons
from classifier_operator.settings import PREFIX, Settings

ROOT = Path(__file__).resolve().parents[2]
OPERATING = (ROOT / "docs/operating.md").read_text()
REASONS = {value for name, value in vars(reasons).items() if name.isupper() and isinstance(value, str)}


@pytest.mark.parametrize("setting", Settings.model_fields)
def test_every_setting_of_the_operator_is_documented(setting: str) -> None:
    assert f"`{PREFIX}{setting.upper()}`" in OPERATING


@pytest.mark.parametrize("reason", sorted(REASONS | set(Reason)))
def test_every_condition_and_reason_is_documented(reason: str) -> None:
    assert f"`{reason}`" in OPERATING


@pytest.mark.parametrize(
    "metric", [metric for metric in vars(metrics).values() if isinstance(metric, MetricWrapperBase)], ids=str
)
def test_every_metric_of_the_operator_is_documented(metric: MetricWrapperBase) -> None:
    (family,) = metric.collect()
    name = f"{family.name}_total" if family.type == "counter" else family.name
    labels = ",".join(metric._labelnames)
    assert f"`{name}{{{labels}}}`" in OPERATING or f"`{name}`" in OPERATING


@pytest.mark.parametrize("page", sorted(ROOT.glob("docs/**/*.md")), ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
        assert (page.parent / target).exists(), target
