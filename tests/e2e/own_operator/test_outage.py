"""A minute of 500s and cut watches loses nothing."""

from pathlib import Path

from tests.e2e.cluster import Cluster
from tests.e2e.environment import Images
from tests.e2e.outage import begin_outage, nothing_is_lost

SECONDS = 60
"""Three minutes of it are a part of `make faults`."""


def test_a_minute_of_failures_loses_nothing(no_wide_operator: Cluster, images: Images, tmp_path: Path) -> None:
    with begin_outage(no_wide_operator, images, tmp_path, SECONDS) as outage:
        outage.join()
        assert outage.proxy.failed > 30
        assert outage.proxy.cut > 3
        nothing_is_lost(outage)
