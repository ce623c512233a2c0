"""Parts that run beside each other: their output, their end."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tools.images import ROOT
from tools.parts import Part, run_lanes

HANG_SECONDS = 60


def shell(title: str, script: str) -> Part:
    return Part(title, ("sh", "-c", script))


def test_lanes_run_beside_each_other_and_each_lane_s_parts_in_order(tmp_path: Path) -> None:
    there, back, order = (tmp_path / name for name in ("there", "back", "order"))
    for fifo in (there, back):
        os.mkfifo(fifo)
    outcomes = run_lanes(
        [
            [shell("asks", f"echo > {there}; cat {back}; echo 1 >> {order}"), shell("next", f"echo 2 >> {order}")],
            [shell("answers", f"cat {there}; echo > {back}")],
        ]
    )
    assert {(outcome.part.title, outcome.status) for outcome in outcomes} == {("asks", 0), ("answers", 0), ("next", 0)}
    assert order.read_text() == "1\n2\n"


def test_the_output_of_a_part_is_shown_whole_when_it_ends(capsys: pytest.CaptureFixture[str]) -> None:
    run_lanes([[shell("one", "echo a; sleep 0.2; echo [b]; echo c >&2")], [shell("two", "sleep 0.1; echo d")]])
    lines = capsys.readouterr().out.splitlines()
    begun = lines.index("a")
    assert lines[begun : begun + 3] == ["a", "[b]", "c"]
    assert "d" in lines


def test_what_can_not_be_started_has_failed() -> None:
    (outcome,) = run_lanes([[Part("odd", ("no-such-program",))]])
    assert outcome.status is None


def test_it_says_now_and_then_what_runs_and_how_far_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    run_lanes([[shell("slow", "echo '....  [ 45%]'; sleep 1")]], heartbeat=0.2)
    assert "slow 0.0 min 45 %" in capsys.readouterr().out


INTERRUPTED = """
from tools.parts import Part, run_lanes
script = "echo so far; trap 'echo put away > {gone}; exit 1' INT; echo > {there}; while :; do sleep 0.1; done"
run_lanes([[Part("endless", ("sh", "-c", script)), Part("never", ("touch", "{never}"))]])
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_all_once_it_has_put_away_what_it_made(tmp_path: Path, number: int) -> None:
    there, gone, never = (tmp_path / name for name in ("there", "gone", "never"))
    script = INTERRUPTED.format(there=there, gone=gone, never=never)
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + HANG_SECONDS
        while not there.exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(number)
        shown, said = process.communicate(timeout=HANG_SECONDS)
    assert "so far" in shown
    assert "KeyboardInterrupt" in said
    assert process.returncode != 0
    assert gone.read_text() == "put away\n"
    assert not never.exists()
