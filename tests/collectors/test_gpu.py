"""GPU telemetry and inventory: seconds that can be, samples that stand for what they saw, one place at a time."""

from __future__ import annotations

import csv
import gzip
from collections import defaultdict
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from farthing.errors import ConfigError
from farthing.lake.schemas import GPU_INVENTORY, GPU_USAGE

USAGE = "gpu_uuid,started_at,ended_at,covered_seconds,busy_seconds\n"
SAMPLES: dict[str, Any] = {
    "columns": {"gpu_uuid": "g", "sampled_at": "t", "busy_fraction": {"from": "u", "unit": "percent"}},
    "sample_seconds": 10,
}
INVENTORY = "gpu_uuid,ResourceId,replica_id,share,valid_from,valid_to\n"


@pytest.mark.parametrize(
    ("covered", "busy", "reason"),
    [
        ("10", "10", ""),
        ("10.0005", "4", ""),
        ("10.1", "4", "covered_seconds 10.1 are more than the interval"),
        ("8", "8.1", "busy_seconds 8.1 are more than covered_seconds"),
        ("8", "-0.1", "busy_seconds is negative"),
        ("8", "nan", "busy_seconds: 'nan' is no number"),
        ("", "4", "covered_seconds is missing"),
        ("8", "", "busy_seconds is missing"),
    ],
)
def test_busy_is_part_of_covered_and_covered_of_the_interval(world: Any, covered: str, busy: str, reason: str) -> None:
    world.write("in.csv", f"{USAGE}G,2026-10-01T23:59:55Z,2026-10-02T00:00:05Z,{covered},{busy}\n")
    result = world.one("gpu_usage", "in.csv")
    assert result.rejected == bool(reason)
    if reason:
        assert reason in world.rejects()[0][1]
    else:
        (row,) = world.rows(GPU_USAGE)
        assert (row["day"].isoformat(), row["busy_source"]) == ("2026-10-01", "file")


def samples(world: Any, *rows: tuple[str, str, int], name: str = "in.csv") -> list[tuple[str, str, float, float]]:
    lines = "".join(f"{gpu},2026-10-01T{time}Z,{percent}\n" for gpu, time, percent in rows)
    world.write(name, "g,t,u\n" + lines)
    world.one("gpu_usage", name, **SAMPLES)
    return [
        (row["gpu_uuid"], str(row["started_at"].time()), row["covered_seconds"], row["busy_seconds"])
        for row in world.rows(GPU_USAGE, "gpu_uuid, started_at")
    ]


def test_a_sample_reaches_back_to_the_one_before_and_at_most_twice_the_distance(world: Any) -> None:
    landed = samples(
        world,
        ("A", "10:00:31", 100),  # lines come in any order
        ("A", "10:00:00", 50),
        ("B", "10:00:05", 20),
        ("A", "10:00:11", 0),
        ("A", "10:05:00", 100),
    )
    assert landed == [
        ("A", "09:59:50", 10.0, 5.0),
        ("A", "10:00:00", 11.0, 0.0),
        ("A", "10:00:11", 20.0, 20.0),
        ("A", "10:04:40", 20.0, 20.0),
        ("B", "09:59:55", 10.0, 2.0),
    ]


@pytest.mark.slow
def test_a_sample_delivered_twice_counts_once(world: Any) -> None:
    landed = samples(world, ("A", "10:00:00", 50), ("A", "10:00:10", 0), ("A", "10:00:10", 100))
    assert landed == [("A", "09:59:50", 10.0, 5.0), ("A", "10:00:00", 10.0, 10.0)]
    again = samples(world, ("A", "10:00:10", 100), ("A", "10:00:20", 0), name="next.csv")
    assert again == [*landed, ("A", "10:00:10", 10.0, 0.0)]
    late = samples(world, ("A", "10:00:31", 100), name="late.csv")
    assert late[-1] == ("A", "10:00:21", 10.0, 10.0)
    # The same sample beside the one before it: known by its own time, not by how far it reaches back.
    assert samples(world, ("A", "10:00:20", 0), ("A", "10:00:31", 100), name="more.csv")[-1] == (
        ("A", "10:00:20", 11.0, 11.0)
    )
    assert len(world.rows(GPU_USAGE)) == 4


def test_samples_need_their_distance_and_percent_must_be_said(world: Any) -> None:
    world.write("in.csv", "g,t,u\nA,2026-10-01T10:00:00Z,50\n")
    with pytest.raises(ConfigError, match="stands for how long"):
        world.one("gpu_usage", "in.csv", columns=SAMPLES["columns"])
    columns = {"gpu_uuid": "g", "sampled_at": "t", "busy_fraction": "u"}
    assert world.one("gpu_usage", "in.csv", columns=columns, sample_seconds=10).rejected == 1
    assert 'busy_fraction is above 1: 50.0 (unit = "percent"?)' in world.rejects()[0][1]


@pytest.mark.slow
def test_the_real_duty_cycle_becomes_intervals_that_hold_every_sample(world: Any, shared: Path) -> None:
    file = shared / "gpu" / "gentd26_gpu_duty_cycle.csv.gz"
    result = world.one(
        "gpu_usage",
        str(file),
        columns={"gpu_uuid": "container_ip", "sampled_at": "ts", "busy_fraction": {"from": "value", "unit": "percent"}},
        timezone="UTC",
        sample_seconds=57,
    )
    pods: dict[str, list[tuple[datetime, float]]] = defaultdict(list)
    with gzip.open(file, "rt") as lines:
        for row in csv.DictReader(lines):
            pods[row["container_ip"]].append((datetime.fromisoformat(row["ts"]), float(row["value"])))
    assert result.landed == sum(map(len, pods.values())) == 106_584
    covered = busy = 0.0
    for points in pods.values():
        points.sort()
        previous = None
        for time, percent in points:
            reach = min((time - previous).total_seconds(), 114.0) if previous else 57.0
            covered, busy, previous = covered + reach, busy + reach * percent / 100, time
    (ours,) = world.query(GPU_USAGE, "select sum(covered_seconds) as c, sum(busy_seconds) as b from lake.gpu_usage")
    assert (ours["c"], ours["b"]) == (pytest.approx(covered, rel=1e-12), pytest.approx(busy, rel=1e-9))
    overlaps = world.query(
        GPU_USAGE,
        "select count(*) as n from (select ended_at > lead(started_at) over (partition by gpu_uuid order by ended_at) "
        "as overlap from lake.gpu_usage) where overlap",
    )
    assert overlaps == [{"n": 0}]


@pytest.mark.parametrize("case", ["prefill_first", "chunked_prefill"])
def test_the_truth_cases_land_whole(world: Any, shared: Path, case: str) -> None:
    folder = shared / "truth" / case
    usage = world.one("gpu_usage", str(folder / "gpu_usage.parquet"), timezone="UTC")
    inventory = world.one("gpu_inventory", str(folder / "gpu_inventory.csv"))
    requests = world.one("requests", str(folder / "requests.parquet"), timezone="UTC", token_convention="inclusive")
    assert (usage.rejected, usage.duplicate, inventory.landed, requests.landed) == (0, 0, 24, 8819)


def test_a_gpu_serves_a_replica_from_one_place_at_a_time(world: Any) -> None:
    lines = [
        "G,i-1,r1,0.5,2026-10-01T00:00:00Z,2026-10-10T00:00:00Z",
        "G,i-2,r1,0.5,2026-10-09T00:00:00Z,",
        "G,i-3,r1,0.5,2026-10-10T00:00:00Z,",
        "G,i-1,r2,0.5,2026-10-05T00:00:00Z,",
        "G,i-1,,,2026-10-05T00:00:00Z,",
    ]
    world.write("in.csv", INVENTORY + "\n".join(lines))
    result = world.one("gpu_inventory", "in.csv")
    assert (result.landed, result.rejected) == (4, 1)
    ((line, reason),) = world.rejects()
    assert (line, reason.split(":")[0]) == (3, "overlaps line 2")
    assert {row["ResourceId"] for row in world.rows(GPU_INVENTORY)} == {"i-1", "i-3"}


@pytest.mark.parametrize("share", ["0", "1.5", "-0.5"])
def test_a_share_is_above_0_and_at_most_1(world: Any, share: str) -> None:
    world.write("in.csv", f"{INVENTORY}G,i-1,r1,{share},2026-10-01T00:00:00Z,\n")
    assert world.one("gpu_inventory", "in.csv").rejected == 1


def test_an_inventory_without_validity_needs_a_constant(world: Any) -> None:
    world.write("in.csv", "gpu_uuid,ResourceId\nG,i-1\n")
    with pytest.raises(ConfigError, match="required column 'valid_from'"):
        world.one("gpu_inventory", "in.csv")
    assert world.one("gpu_inventory", "in.csv", constants={"valid_from": "2026-10-01T00:00:00Z"}).landed == 1
