"""An API server that fails for minutes."""

from pathlib import Path

from tests.e2e.cluster import Cluster
from tests.e2e.environment import Images
from tests.e2e.outage import begin_outage, nothing_is_lost

SECONDS = 180


def test_three_minutes_of_500s_and_cut_watches_lose_nothing(
    no_wide_operator: Cluster, images: Images, tmp_path: Path, figures: dict[str, str]
) -> None:
    with begin_outage(no_wide_operator, images, tmp_path, SECONDS) as outage:
        outage.join()
        figures["requests failed"] = str(outage.proxy.failed)
        figures["watches cut"] = str(outage.proxy.cut)
        assert outage.proxy.failed > 100
        assert outage.proxy.cut > 10
        nothing_is_lost(outage)
