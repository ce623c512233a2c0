"""Processes killed again and again, and connections that break as often: nothing is lost, nothing made twice."""

from pathlib import Path

import pytest

from tests.integration.conftest import minio, mlflow, mlflow_folder, run_folder
from tests.integration.prediction_log.conftest import Recording, recording
from tests.integration.prediction_log.test_recorder import expect_once
from tests.integration.prediction_log.test_recorder_failures import expect_once_over_broken_connections
from tests.integration.prediction_log.test_spooling import expect_nothing_lost

__all__ = ["minio", "mlflow", "mlflow_folder", "recording", "run_folder"]


async def test_a_server_that_is_killed_50_times_under_load_has_logged_or_counted_all_it_answered(
    tmp_path: Path,
) -> None:
    await expect_nothing_lost(tmp_path, 50)


@pytest.mark.parametrize(("runs", "count"), [("window", 30), ("prediction", 10)])
def test_a_recorder_that_is_killed_again_and_again_logs_everything_once(
    recording: Recording, runs: str, count: int
) -> None:
    expect_once(recording, runs, count, kills=4)


def test_connections_that_break_at_any_moment_make_no_second_run(recording: Recording) -> None:
    expect_once_over_broken_connections(recording, 12)
