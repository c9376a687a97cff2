"""A spool that reaches its quota: old rows become longer ones, and no sum changes."""

from __future__ import annotations

import math
import shutil
import threading
from itertools import pairwise
from pathlib import Path

import pytest

from collectors.telemetry import SECOND_US, Moment, microseconds
from farthing.agent.loop import Agent
from farthing.agent.outbox import held
from farthing.agent.simulated import Simulated
from farthing.agent.spool import Spool
from tests.nvml.nodes import OFFSET_US, Row, rows

_SUMS = ("covered_seconds", "busy_seconds", "energy_joules")
_SHORT = 10


class _Time:
    """Time that a test moves."""

    boot_us = 86_400 * SECOND_US

    def now(self) -> Moment:
        return Moment(self.boot_us + OFFSET_US, self.boot_us)


@pytest.fixture(scope="module")
def sampled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three hours of two simulated GPUs, looked at each ten seconds."""
    folder = tmp_path_factory.mktemp("spool")
    clock = _Time()
    agent = Agent(
        Simulated(2, "n"), Spool(folder, log=print), node_id="n", interval_seconds=_SHORT, clock=clock, log=print
    )
    for look in range(3 * 360):
        for board in agent.boards:
            board.tick(clock.now())
        if look % 90 == 89:  # many rows in one write, for each waits for the disk
            agent.gather(clock.now())
        clock.boot_us += _SHORT * SECOND_US
    agent.finish(clock.now())
    return folder


@pytest.fixture
def folder(sampled: Path, tmp_path: Path) -> Path:
    """A spool of its own for each test."""
    return Path(shutil.copytree(sampled, tmp_path / "spool"))


def _seconds(row: Row) -> float:
    return (microseconds(row["ended_at"]) - microseconds(row["started_at"])) / SECOND_US


@pytest.mark.parametrize(("quota_bytes", "longest"), [(600_000, 60), (70_000, 600), (8_000, 3600)])
def test_a_quota_changes_no_integral_and_drops_no_row(quota_bytes: int, longest: int, folder: Path) -> None:
    whole = rows(folder)
    Spool(folder, log=print, quota_bytes=quota_bytes).shrink()
    small = rows(folder)
    assert sum(path.stat().st_size for path in folder.glob("*.jsonl")) <= quota_bytes
    assert max(map(_seconds, whole)) == _SHORT
    # The length of its interval marks a row that was merged; the oldest are merged first.
    assert max(map(_seconds, small)) == longest
    assert _seconds(small[0]) == longest
    for uuid in {row["gpu_uuid"] for row in whole}:
        before, after = ([row for row in found if row["gpu_uuid"] == uuid] for found in (whole, small))
        for name in _SUMS:
            sums = [math.fsum(row[name] or 0.0 for row in found) for found in (before, after)]
            assert sums[1] == pytest.approx(sums[0], rel=0, abs=1e-9 * max(1.0, sums[0]))
        assert (before[0]["started_at"], before[-1]["ended_at"]) == (after[0]["started_at"], after[-1]["ended_at"])
        assert all(one["ended_at"] == other["started_at"] for one, other in pairwise(after))


def test_segments_are_merged_only_under_the_lock_of_those_who_ship(folder: Path) -> None:
    before = rows(folder)
    spool = Spool(folder, log=print, quota_bytes=200_000)
    merging = threading.Thread(target=spool.shrink)
    with held(folder):
        merging.start()
        merging.join(timeout=0.3)
        assert merging.is_alive()
        assert rows(folder) == before
    merging.join(timeout=30)
    assert len(rows(folder)) < len(before)
