"""What happens to a node: kills, pauses, lost GPUs, exchanged drivers, clocks that are set, disks that are full."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from collectors.telemetry import SECOND_US, microseconds
from tests.nvml.nodes import BOOT_US, Node, Row, Trace, keys, total

MakeNode = Callable[..., Node]
_DUTY = "gpu duty 230000 1000000 0"  # 2.3 s of each 10 s
_WATTS = 70 + 580 * 0.23


def _at(seconds: float) -> int:
    return BOOT_US + round(seconds * SECOND_US)


def _states(rows: list[Row]) -> list[str]:
    return [row["state"] for row in rows]


def _uncovered(rows: list[Row]) -> float:
    lasted = sum(microseconds(row["ended_at"]) - microseconds(row["started_at"]) for row in rows) / SECOND_US
    return lasted - total(rows, "covered_seconds")


def _kill(made: Node, at_seconds: float) -> None:
    """A real SIGKILL, wherever the process is when its clock has come so far."""
    child = made.start(10_000)
    deadline = time.monotonic() + 60
    while made.now < _at(at_seconds) and child.poll() is None and time.monotonic() < deadline:
        time.sleep(0.0002)
    child.send_signal(signal.SIGKILL)
    child.communicate(timeout=30)
    assert child.returncode == -signal.SIGKILL


def _hold_after_kills(made: Node, gpus: int) -> None:
    rows = made.rows
    assert len(keys(rows)) == len(rows)
    for index in range(gpus):
        its = made.of(index)
        lasted = (microseconds(its[-1]["ended_at"]) - microseconds(its[0]["started_at"])) / SECOND_US
        assert total(its, "covered_seconds") == pytest.approx(lasted, abs=1e-6)
        assert total(its, "busy_seconds") == pytest.approx(0.23 * lasted, rel=0.002)
        assert total(its, "energy_joules") == pytest.approx(_WATTS * lasted, rel=0.005)


def _killed(made: Node, gpus: int, times: int) -> None:
    random.seed(times)
    at = 0.0
    for _ in range(times):
        at += random.uniform(8, 40)
        _kill(made, at)
        made.set(made.now + random.randrange(5 * SECOND_US))
        at = max(at, (made.now - BOOT_US) / SECOND_US)
    made.run((made.now - BOOT_US) / SECOND_US + 30, finish=True)
    _hold_after_kills(made, gpus)


def test_a_kill_loses_nothing_when_the_restart_is_quick(node: MakeNode) -> None:
    _killed(node("gpu model A", _DUTY, "gpu boot 1", "gpu model B", _DUTY), 2, times=2)


@pytest.mark.heavy
def test_twenty_kills_at_random_moments_lose_nothing(node: MakeNode) -> None:
    script = [line for index in range(8) for line in ("gpu model A", _DUTY, f"gpu boot {index % 2}")]
    _killed(node(*script), 8, times=20)


def test_a_long_absence_is_not_covered_and_a_torn_line_is_cut(node: MakeNode) -> None:
    made = node("gpu model A", _DUTY)
    made.run(58)
    [segment] = made.spool.glob("*.open")
    with segment.open("ab") as file:
        file.write(b'{"gpu_uuid":"GPU-0000')
    made.set(made.now + 60 * SECOND_US)
    made.run(160, finish=True)
    rows = made.of(0)
    assert len(keys(rows)) == len(rows)
    # The last 8 seconds were in memory only; the ring reaches back 16.7.
    assert _uncovered(rows) == pytest.approx(8 + 60 - 16.667, abs=0.3)
    assert total(rows, "covered_seconds") + _uncovered(rows) == pytest.approx(160, abs=1)
    assert total(rows, "busy_seconds") == pytest.approx(0.23 * total(rows, "covered_seconds"), rel=0.01)
    assert total(rows, "energy_joules") == pytest.approx(160 * _WATTS, rel=0.005)


def test_an_agent_that_stood_still_takes_the_ring_and_calls_the_rest_not_covered(node: MakeNode) -> None:
    made = node("gpu model A", _DUTY, "gpu model B", _DUTY, "gpu boot 1", pauses=[[_at(63.2), _at(103.2)]])
    made.run(132)
    for index in (0, 1):
        rows = made.of(index)
        assert _uncovered(rows) == pytest.approx(40 - 16.667, abs=1)
        assert total(rows, "busy_seconds") == pytest.approx(0.23 * total(rows, "covered_seconds"), rel=0.02)
        assert _states(rows)[6:10] == ["partial"] * 3 + ["ok"]


def test_silence_of_a_driver_that_writes_nothing_while_idle_is_idle_time(node: MakeNode, tmp_path: Path) -> None:
    trace = Trace(np.array([_at(0), _at(325)]), np.array([_at(25), _at(350)])).write(tmp_path / "trace")
    made = node(
        *("gpu model Spark", "gpu dry 1", f"gpu trace {trace}"),
        *("gpu model Spark", "gpu dry 1", "gpu boot 1", f"gpu trace {trace}"),
        *("gpu model Never", "gpu dry 1"),
    )
    made.run(362)
    for index in (0, 1):
        rows = made.of(index)
        assert total(rows, "covered_seconds") == pytest.approx(360)
        assert total(rows, "busy_seconds") == pytest.approx(50, abs=0.1)
        assert [row["busy_seconds"] for row in rows[3:32]] == [0.0] * 29
        assert set(_states(rows)[3:32]) == {"idle_dry"}
    assert total(made.of(2), "covered_seconds") == pytest.approx(360)
    assert total(made.of(2), "busy_seconds") == 0


def test_a_lost_gpu_and_an_exchanged_driver_spoil_their_own_rows_only(node: MakeNode) -> None:
    made = node(
        *("gpu model Good", _DUTY),
        *("gpu model Lost", _DUTY, f"gpu lost {_at(40)} {_at(60)}"),
        *("gpu model Reset", _DUTY, f"gpu reset {_at(75.5)}"),
    )
    log = made.run(132)["log"]
    assert set(_states(made.of(0))) == {"ok"}
    lost = made.of(1)
    assert _states(lost)[:3] == ["ok"] * 3
    assert {(row["state"], row["covered_seconds"]) for row in lost[4:8]} == {("lost", 0.0)}
    assert _states(lost)[10:] == ["ok"] * 3
    assert "GPU 1: the GPU has fallen off the bus" in log
    assert "GPU 1 answers again" in log
    reset = made.of(2)
    assert [row["energy_joules"] for row in reset[8:]] == pytest.approx([10 * _WATTS] * 5, rel=0.01)
    assert 0 < reset[7]["energy_joules"] < 10 * _WATTS


def test_an_exchanged_driver_is_taken_up_again_without_a_spike(node: MakeNode) -> None:
    made = node(
        f"reload {_at(50)} {_at(58)}",
        *("gpu model A", _DUTY, "gpu model H", _DUTY, "gpu gpm 1"),
        *("gpu model M", "gpu gpm 1", "part 3 7 81920 230000 1000000 0"),
    )
    log = made.run(132)["log"]
    assert "the driver was begun anew: 580.99.01" in log
    for rows in (made.of(0), made.of(1), [row for row in made.rows if row["gpu_uuid"].startswith("MIG")]):
        assert len(rows) == 13
        assert _states(rows)[7:] == ["ok"] * 6
        assert all(0 <= (row["energy_joules"] or 0) <= 2 * 700 * 10 for row in rows)
        assert _uncovered(rows) < 15
    assert made.told["driver"] == "580.99.01"


@pytest.mark.parametrize("by_seconds", [30, -30])
def test_a_clock_that_is_set_repeats_no_key_and_loses_no_time(by_seconds: int, node: MakeNode) -> None:
    steps = [[_at(65.3), by_seconds * SECOND_US], [_at(81.1), by_seconds * SECOND_US], [_at(170.7), 3 * SECOND_US]]
    made = node(
        *("gpu model A", _DUTY, "gpu model B", _DUTY, "gpu boot 1", "gpu model H", _DUTY, "gpu gpm 1"), steps=steps
    )
    made.run(240, finish=True)
    rows = made.rows
    assert len(keys(rows)) == len(rows)
    for index in range(3):
        its = made.of(index)
        assert total(its, "covered_seconds") == pytest.approx(240, abs=1)
        assert total(its, "busy_seconds") == pytest.approx(0.23 * 240, rel=0.02)
        assert total(its, "energy_joules") == pytest.approx(_WATTS * 240, rel=0.02)
        longest = [microseconds(row["ended_at"]) - microseconds(row["started_at"]) for row in its]
        assert all(row["covered_seconds"] * SECOND_US <= us + 1_000 for row, us in zip(its, longest, strict=True))


def test_a_full_disk_tears_no_line_and_loses_no_bucket(node: MakeNode) -> None:
    made = node("gpu model A", _DUTY, "gpu model B", _DUTY, full=[_at(45), _at(645)])
    told = made.run(802, finish=True)
    rows = made.rows
    assert len(keys(rows)) == len(rows)
    for index in (0, 1):
        assert total(made.of(index), "covered_seconds") == pytest.approx(802, abs=0.2)
        assert total(made.of(index), "busy_seconds") == pytest.approx(0.23 * 802, rel=0.005)
    complaints = [line for line in told["log"] if "disk full" in line]
    assert 5 <= len(complaints) <= 11


def test_a_ring_that_had_just_begun_is_measured_again(node: MakeNode) -> None:
    made = node("gpu model A", _DUTY, "gpu boot 1")
    made.set(5 * SECOND_US)  # the machine has just started: 5 of 16.7 seconds are there
    made.run((5 * SECOND_US - BOOT_US) / SECOND_US + 150)
    assert made.told["gpus"][0]["ring_seconds"] == pytest.approx(16.667)
    assert set(_states(made.of(0))[1:]) == {"ok"}
