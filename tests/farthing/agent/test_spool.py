"""A spool that is over its quota: rows become longer, their sums stay, and none goes."""

from __future__ import annotations

import math
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from collectors.telemetry import SECOND_US, microseconds, written
from farthing.agent.outbox import held, sealed
from farthing.agent.spool import Spool
from tests.nvml.nodes import keys, rows

START_US = 1_793_577_600 * SECOND_US
_SUMS = ("covered_seconds", "busy_seconds", "energy_joules")


def _row(number: int, gpu: int) -> dict[str, Any]:
    begin = START_US + number * 10 * SECOND_US
    covered = 10.0 if number % 7 else 9.1
    return {
        "gpu_uuid": f"GPU-{gpu}",
        "node_id": "node-1",
        "started_at": written(begin),
        "ended_at": written(begin + 10 * SECOND_US),
        "covered_seconds": covered,
        "busy_seconds": covered * ((number * 37 + gpu) % 101) / 101,
        "busy_source": "nvml_ring",
        "sm_active_seconds": None,
        "memory_used_bytes": 1_000_000 + number,
        "energy_joules": 1_234.5 + number / 3,
        "energy_source": "counter",
        "state": "ok" if number % 7 else "partial",
    }


def _filled(folder: Path, quota_bytes: int, hours: int = 3) -> Spool:
    spool = Spool(folder, log=lambda _text: None, quota_bytes=quota_bytes)
    for first in range(0, hours * 360, 60):
        some = [_row(number, gpu) for number in range(first, first + 60) for gpu in (0, 1)]
        spool.append(some, {}, first * 10 * SECOND_US)
    return spool


def _sums(found: list[dict[str, Any]]) -> dict[tuple[str, str], float]:
    return {
        (gpu, name): math.fsum(row[name] for row in found if row["gpu_uuid"] == gpu)
        for gpu in ("GPU-0", "GPU-1")
        for name in _SUMS
    }


def test_over_the_quota_the_oldest_rows_become_longer_and_no_sum_changes(tmp_path: Path) -> None:
    whole = _filled(tmp_path / "whole", 1 << 30)
    whole.close()
    before = rows(tmp_path / "whole")
    spool = _filled(tmp_path / "spool", 400_000)
    spool.close()
    spool.shrink()
    after = rows(tmp_path / "spool")
    assert sum(path.stat().st_size for path in (tmp_path / "spool").glob("*.jsonl")) <= 400_000
    assert len(after) < len(before)
    assert len(keys(after)) == len(after)
    assert _sums(after) == pytest.approx(_sums(before), rel=0, abs=1e-9)
    lengths = [microseconds(row["ended_at"]) - microseconds(row["started_at"]) for row in after]
    assert sum(lengths) == 2 * 3 * 3600 * SECOND_US
    assert lengths[0] > lengths[-1] == 10 * SECOND_US  # the oldest first
    assert after[0]["state"] == "partial"  # the worst of its parts
    assert after[0]["memory_used_bytes"] == max(
        row["memory_used_bytes"] for row in before[: 2 * lengths[0] // lengths[-1]]
    )


def test_what_somebody_ships_is_not_replaced_meanwhile(tmp_path: Path) -> None:
    spool = _filled(tmp_path, 1 << 30, hours=1)
    spool.close()
    [segment] = sealed(tmp_path)
    content = segment.read_bytes()
    smaller = Spool(tmp_path, log=lambda _text: None, quota_bytes=1)
    with held(tmp_path):
        thread = Thread(target=smaller.shrink)
        thread.start()
        thread.join(0.3)
        assert segment.read_bytes() == content
    thread.join(30)
    assert segment.read_bytes() != content
