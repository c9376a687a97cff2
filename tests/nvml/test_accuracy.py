"""What the agent makes of a GPU's own samples and counters, held against the exact integral of what the GPU did."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.nvml.nodes import BOOT_US, Node, Row, Trace, keys, total

MakeNode = Callable[..., Node]
_FAST, _SLOW = 166_667, 1_000_000
#: Where the driver's grid of samples lies against the edges of buckets: for the slow one the worst place of all.
_PHASE = {_FAST: 53_011, _SLOW: 500_000}


def _node(node: MakeNode, folder: Path, trace: Trace) -> Node:
    """Four GPUs that do the same: a fast and a slow ring, both kinds of stamps."""
    written = trace.write(folder / "trace")
    script = []
    for boot in (0, 1):
        for period in (_FAST, _SLOW):
            script += [f"gpu model H{boot}", f"gpu boot {boot}", f"gpu ring 100 {period} {_PHASE[period]}"]
            script += [f"gpu trace {written}"]
    return node(*script)


def _errors(rows: list[Row], trace: Trace) -> tuple[float, float, float]:
    """RMSE and largest error of a bucket in percentage points, and the bias in percent of the busy time."""
    true = trace.seconds(rows)
    error = 10 * (np.array([row["busy_seconds"] for row in rows]) - true)
    return float(np.sqrt((error**2).mean())), float(abs(error).max()), float(10 * error.sum() / true.sum())


def _bound(rows: list[Row], trace: Trace, period: int) -> tuple[float, float]:
    """The RMSE and the largest error that samples so far apart leave to whoever knows only them.

    A sample that spans an edge, a share f of it before, tells how long the GPU was busy and not when. Shared out by
    time it is wrong by at most f (1 - f) of its length, that is by 0.25 s a side with one second: 5 points of a bucket
    of 10 s. So 0.3 and 1 points hold for the fast ring only. What it is wrong by on this very trace comes out of the
    trace; whole percents add at most half a point, uniform at each sample: 0.29 points / sqrt(samples in a bucket).
    """
    edges = np.array([BOOT_US + 10_000_000 * at for at in range(len(rows) + 1)])
    before = (edges - _PHASE[period]) // period * period + _PHASE[period]
    share = (edges - before) / period
    spanning = trace.until(before + period) - trace.until(before)
    wrong = (share * spanning - (trace.until(edges) - trace.until(before))) / 1e6
    error = 10 * np.diff(wrong)
    samples = 10_000_000 / period
    return float(np.sqrt((error**2).mean() + 0.29**2 / samples)), float(abs(error).max()) + 0.5


def _hold(made: Node, trace: Trace, buckets: int, bias_percent: float) -> None:
    for index, period in enumerate((_FAST, _SLOW, _FAST, _SLOW)):
        rows = made.of(index)
        assert len(rows) == len(keys(rows)) == buckets
        assert {row["state"] for row in rows} == {"ok"}
        assert total(rows, "covered_seconds") == 10 * buckets
        rmse, largest, bias = _errors(rows, trace)
        assert abs(bias) <= bias_percent
        if period == _FAST:
            assert rmse <= 0.3
            assert largest <= 1
        else:
            attainable, most = _bound(rows, trace, period)
            assert rmse <= 1.1 * attainable
            assert largest <= most
        busy = float(trace.seconds(rows).sum())
        assert total(rows, "energy_joules") == pytest.approx(700 * buckets + 580 * busy, rel=1e-6)
    assert [gpu["stamp_clock"] for gpu in made.told["gpus"]] == ["epoch", "epoch", "boot", "boot"]
    assert [gpu["ring_seconds"] for gpu in made.told["gpus"]] == [16.667, 100.0] * 2


@pytest.mark.slow
def test_the_ring_gives_the_busy_integral_by_either_clock(node: MakeNode, tmp_path: Path) -> None:
    trace = Trace.bursty(1300, seed=7)
    made = _node(node, tmp_path, trace)
    made.run(1202)
    _hold(made, trace, 120, bias_percent=0.2)


@pytest.mark.heavy
def test_over_a_day_the_ring_has_no_bias(node: MakeNode, tmp_path: Path) -> None:
    trace = Trace.bursty(86_500, seed=11)
    made = _node(node, tmp_path, trace)
    made.run(86_402)
    _hold(made, trace, 8640, bias_percent=0.05)


def test_counters_of_performance_are_exact(node: MakeNode, tmp_path: Path) -> None:
    trace = Trace.bursty(200, seed=3)
    made = node("gpu model H100", "gpu gpm 1", f"gpu trace {trace.write(tmp_path / 'trace')}")
    made.run(121)
    rows = made.of(0)[1:]  # the first bucket begins with what the ring still held
    assert {row["busy_source"] for row in rows} == {"gpm"}
    busy = trace.seconds(rows)
    assert [row["busy_seconds"] for row in rows] == pytest.approx(list(busy), abs=1e-6)
    assert [row["sm_active_seconds"] for row in rows] == pytest.approx(list(0.8 * busy), abs=1e-6)


def test_each_mig_instance_has_rows_of_its_own_and_the_board_none(node: MakeNode) -> None:
    made = node(
        "gpu model H100",
        "gpu gpm 1",
        "part 1 3 40960 400000 1000000 0",
        "part 5 4 40960 100000 1000000 0",
        "gpu model A100",
        "part 9 7 81920 400000 1000000 0",
    )
    made.run(31)
    by_gpu: dict[str, list[Row]] = {}
    for row in made.rows:
        by_gpu.setdefault(row["gpu_uuid"], []).append(row)
    assert [uuid[:3] for uuid in by_gpu] == ["MIG"] * 3
    first, second, blind = by_gpu.values()
    assert [row["busy_seconds"] for row in first] == pytest.approx([4.0] * 3, abs=1e-6)
    assert [row["busy_seconds"] for row in second] == pytest.approx([1.0] * 3, abs=1e-6)
    assert {row["gpu_instance_id"] for row in first + second} == {"1", "5"}
    assert {row["energy_joules"] for row in first + second} == {None}
    # Before Hopper nobody tells what an instance does: it is not observed, and never idle.
    assert {(row["covered_seconds"], row["state"]) for row in blind} == {(0.0, "partial")}
    board, *instances = [gpu for gpu in made.told["gpus"] if gpu["index"] == 0]
    assert board["mig"]
    assert [gpu["mig_profile"] for gpu in instances] == ["3g.40gb", "4g.40gb"]
    assert sum(int(gpu["mig_profile"][0]) for gpu in instances) == 7
    assert {gpu["parent_gpu_uuid"] for gpu in instances} == {board["gpu_uuid"]} == {first[0]["parent_gpu_uuid"]}


def test_what_a_gpu_does_not_have_is_left_out(node: MakeNode) -> None:
    duty = "gpu duty 250000 1000000 0"
    made = node(
        *("gpu model Tesla P100", duty, "gpu energy 0", "gpu power 0"),
        *("gpu model Quadro", duty, "gpu energy 0", "gpu memory 0"),
        *("gpu model vGPU", duty, "gpu gpm 2"),
        *("gpu model Old", "gpu duty 1 1 0", "gpu samples 0"),
        driver="old",
    )
    made.run(31)
    for index, source in enumerate(["nvml_ring", "nvml_ring", "nvml_ring", "nvml_poll"]):
        rows = made.of(index)
        assert {row["busy_source"] for row in rows} == {source}
        assert len(rows) == 3
    assert {row["energy_source"] for row in made.of(0)} == {None}
    assert {row["energy_source"] for row in made.of(1)} == {"power"}
    assert total(made.of(1)[1:], "energy_joules") == pytest.approx(2 * (700 + 580 * 2.5), rel=0.02)
    assert {row["memory_used_bytes"] for row in made.of(1)} == {None}
    assert made.of(0)[0]["memory_used_bytes"] == (81920 // 4 + 512) << 20


def test_counters_that_are_only_said_to_be_there_are_not_believed(node: MakeNode) -> None:
    made = node("gpu model vGPU", "gpu gpm 2", "gpu duty 250000 1000000 0")
    made.run(11)
    assert made.told["gpus"][0]["source"] == "nvml_ring"
