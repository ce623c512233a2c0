"""MLflow's SQLite file over 1,000 windows, with retention and `mlflow gc`."""

import time
from pathlib import Path

from tests.integration.conftest import minio, mlflow, mlflow_folder, run_folder
from tests.integration.prediction_log.conftest import Recording, recording
from tests.integration.prediction_log.windows import write_window

__all__ = ["minio", "mlflow", "mlflow_folder", "recording", "run_folder"]

ROUNDS = 10
WINDOWS_A_ROUND = 100
DAY = 86_400_000


def test_the_database_does_not_grow_over_a_thousand_windows(recording: Recording, mlflow_folder: Path) -> None:
    sizes = []
    for _ in range(ROUNDS):
        start = int(time.time() * 1000) - 3 * DAY
        for number in range(WINDOWS_A_ROUND):
            write_window(recording.own, start + 60_000 * number)
        recorder = recording.start(retention="1d")
        recorder.wait_for('"event": "recording"')
        recording.wait_until_shipped(120)
        recorder.wait_for('"event": "deleted old runs"')
        recorder.kill()
        assert recording.runs() == []
        recording.collect_garbage()
        sizes.append(sum(path.stat().st_size for path in mlflow_folder.glob("mlflow.db*")))
    print(
        f"\nthe database, kB, after each {WINDOWS_A_ROUND} of {ROUNDS * WINDOWS_A_ROUND} windows: "
        + " ".join(f"{size / 1000:.0f}" for size in sizes)
        + f"; the last is {sizes[-1] / sizes[0]:.2f} of the first"
    )
    assert recording.keys() == []
    assert sizes[-1] <= 1.05 * sizes[0]
