"""Real duty cycle joined with real inferences on 96 pods: each pod's cost is conserved, what does not meet is shown."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import accumulate
from pathlib import Path

import pytest

from tests.real.projects import bill, quality, read, run, warehouse, write

TOML = """
[attribution]
cell_seconds = 2
[sources.bill]
kind = "focus"
path = "bill.csv"
[sources.inventory]
kind = "gpu_inventory"
path = "inventory.csv"
[sources.duty]
kind = "gpu_usage"
path = "duty.csv"
timezone = "UTC"
sample_seconds = 57
[sources.duty.columns]
gpu_uuid = "container_ip"
sampled_at = "ts"
busy_fraction = {{ from = "value", unit = "percent" }}
[sources.inferences]
kind = "requests"
path = "{data}/gpu/gentd26_inference_latency_ms.csv.gz"
constants = {{ provider = "own", model = "diffusion" }}
timezone = "UTC"
[sources.inferences.columns]
replica_id = "container_ip"
started_at = {{ from = "ts", minus = "value", plus_unit = "ms" }}
ended_at = "ts"
[[pools]]
name = "pods"
kind = "gpu"
match = {{ ResourceId = "pod-*" }}
"""


def _cell(moment: datetime, *, last: bool = False) -> datetime:
    """Where the cell of two seconds begins that `moment` is in, or (of an end) ends."""
    into = timedelta(seconds=moment.second % 2, microseconds=moment.microsecond)
    return moment - into + (timedelta(seconds=2) if last and into else timedelta(0))


def _cells(lives: list[tuple[datetime, datetime]]) -> tuple[list[datetime], list[datetime]]:
    """Sorted starts of lives, widened to whole cells, and the last end of all that began so far."""
    wide = sorted((_cell(start), _cell(end, last=True)) for start, end in lives)
    return [start for start, _ in wide], list(accumulate((end for _, end in wide), max))


@pytest.mark.heavy
@pytest.mark.timeout(300)
def test_every_pods_cost_is_conserved_and_what_does_not_meet_is_shown(shared: Path, tmp_path: Path) -> None:
    samples: dict[str, list[tuple[datetime, float]]] = defaultdict(list)
    for row in read(shared / "gpu" / "gentd26_gpu_duty_cycle.csv.gz"):
        samples[row["container_ip"]].append((datetime.fromisoformat(row["ts"]), float(row["value"]) / 100))
    lives: dict[str, list[tuple[datetime, datetime]]] = defaultdict(list)
    for row in read(shared / "gpu" / "gentd26_inference_latency_ms.csv.gz"):
        ended = datetime.fromisoformat(row["ts"])
        lives[row["container_ip"]].append((ended - timedelta(milliseconds=float(row["value"])), ended))
    pods = sorted(samples.keys() | lives.keys())
    assert len(pods) == 96
    blind = max(lives, key=lambda pod: len(lives[pod]))  # its telemetry is held back
    del samples[blind]
    rows = [(pod, at, 100 * share) for pod, points in samples.items() for at, share in points]
    write(tmp_path / "duty.csv", ["container_ip", "ts", "value"], rows)
    bill(tmp_path / "bill.csv", "2022-09-11", [(24, f"pod-{pod}", "own") for pod in pods])
    (tmp_path / "inventory.csv").write_text(
        "gpu_uuid,ResourceId,replica_id,gpu_model,valid_from\n"
        + "".join(f"{pod},pod-{pod},{pod},A10,2022-09-01T00:00:00Z\n" for pod in pods)
    )
    loads = run(tmp_path, TOML.format(data=shared), now=datetime(2022, 9, 13, tzinfo=UTC))
    assert sum(load["landed"] for load in loads) == 96 + 96 + len(rows) + 22_351

    busy_seconds = alone_seconds = 0.0
    watched = set()
    for pod, points in samples.items():
        starts, ends = _cells(lives[pod])
        previous = None
        for at, share in sorted(points):
            begun = max(previous, at - timedelta(seconds=114)) if previous else at - timedelta(seconds=57)
            busy = share * (at - begun).total_seconds()
            watched |= {(pod, begun.replace(second=0) + timedelta(minutes=n)) for n in range(3)} & {
                (pod, (at - timedelta(microseconds=1)).replace(second=0, microsecond=0) - timedelta(minutes=n))
                for n in range(3)
            }
            busy_seconds += busy
            before = bisect_left(starts, at)
            if not before or ends[before - 1] <= begun:
                alone_seconds += busy
            previous = at

    with warehouse(tmp_path) as con:
        costs = con.execute("select ResourceId, sum(cost) from gpu_day group by all").fetchall()
        assert dict(costs) == {f"pod-{pod}": Decimal(24) for pod in pods}
        parts = "direct_cost + training_cost + idle_cost + unobserved_cost + unexplained_cost"
        assert con.execute(f"select * from gpu_day where cost <> {parts}").fetchall() == []
        kinds = dict(con.execute("select kind, sum(cost) from cost_ledger group by all").fetchall())
        assert sum(kinds.values()) == 96 * 24
        assert kinds.keys() == {"direct", "idle", "unobserved", "unexplained"}
        assert min(kinds.values()) > 0
        price = Decimal(96 * 24) / (96 * 86400)
        assert float((kinds["direct"] + kinds["unexplained"]) / price) == pytest.approx(busy_seconds, rel=1e-6)

        matched, total = quality(con, "busy_seconds", "of replicas with a request in flight")
        assert total == pytest.approx(busy_seconds, rel=1e-6)
        assert total - matched == pytest.approx(alone_seconds, rel=0.02)  # an hour cuts an interval in two
        assert 0 < matched < total
        observed, requests = quality(con, "requests", "started while telemetry watched the replica")
        started = [(pod, start.replace(second=0, microsecond=0)) for pod in lives for start, _ in lives[pod]]
        assert (observed, requests) == (sum(start in watched for start in started), 22_351)
        assert requests - observed >= len(lives[blind])
        assert quality(con, "requests", "with a user") == (0, 22_351)
        assert quality(con, "requests", "with a replica in the inventory") == (22_351, 22_351)
        assert con.execute("select max(abs(difference)) from reconciliation").fetchall() == [(0,)]
        unobserved = con.execute("select gpu_uuid from gpu_day where unobserved_cost = 24").fetchall()
        assert unobserved == [(blind,)]
