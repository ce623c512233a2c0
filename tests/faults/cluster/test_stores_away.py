"""MLflow and MinIO that are away for minutes, while recorders are killed."""

from tests.e2e.cluster import Cluster
from tests.e2e.logged import Logged, shared_sinks, take_the_stores_away

SECONDS, KILL_SECONDS = 180, 10


def test_three_minutes_without_stores_and_with_killed_recorders_fail_no_request_and_lose_none(
    operator: Cluster, figures: dict[str, str]
) -> None:
    with shared_sinks(operator, "faults-stores") as name:
        seen = take_the_stores_away(Logged(operator, name, "photos"), SECONDS, KILL_SECONDS)
    figures["requests"] = str(seen.requests)
    figures["recorders killed"] = str(seen.killed)
    ratio = percentile(seen.away, 0.99) / percentile(seen.before, 0.99)
    figures["p99 with the stores away to that before"] = f"{ratio:.2f}"


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[int(share * (len(values) - 1))]
