"""From a cluster's Prometheus to the ledger: what pods share is paid once, whatever the exporter repeats for each."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import duckdb
import pytest

import collectors
from farthing import clock
from farthing.lake import Lake
from tests.collectors.conftest import Silence
from tests.collectors.test_kubernetes import node, state
from tests.collectors.test_prometheus import BEGIN, EXPORTER, GR, NODE, every, served, up
from tests.farthing.build.world import GPU_POOL, World, published

pytestmark = pytest.mark.heavy


@pytest.fixture(scope="module")
def con(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    """An hour of a node with an H100 that four pods share and an A100 that one has, each half busy; 8 are billed."""
    folder = tmp_path_factory.mktemp("cluster")
    target = {**NODE, **EXPORTER}
    told: list[Any] = [up(NODE, EXPORTER), *node(gpus=2)]
    for number in range(4):
        # dcgm-exporter issues 151 and 307, PR 594: the device's value comes again for each pod
        own: dict[str, Any] = {"namespace": "ml", "pod": f"p{number}", "node": "n1", "container": "main"}
        labels = {"UUID": "H", "modelName": "H100", "exported_pod": f"p{number}", "exported_namespace": "ml"}
        told += [
            (GR, {**target, **labels, "vgpu": str(number)}, every(30, 0.5)),
            state("kube_pod_container_resource_requests", value=25, resource="nvidia_com_gpucores", **own),
        ]
    alone = {"UUID": "A", "modelName": "A100", "exported_pod": "x", "exported_namespace": "ml"}
    told.append((GR, {**target, **alone}, every(30, 0.5)))
    sources = {
        kind: {"kind": kind, "since": "2026-11-01", "endpoint": "http://127.0.0.1:9"}
        for kind in ("prometheus", "kubernetes_gpus")
    }
    world = World(
        {**GPU_POOL, "match": {"ResourceId": "i-*"}},
        sources=sources,
        attribution={"cell_seconds": 60, "law_minimum_requests": 10_000},
    )
    hour = timedelta(hours=1)
    world.charge(8, BEGIN, BEGIN + hour, resource="i-0a1", month=BEGIN.date())
    world.request(BEGIN, BEGIN + hour, replica="p0", user="ann")
    world.request(BEGIN, BEGIN + hour / 2, replica="p1", user="bob")
    world.request(BEGIN, BEGIN + hour, replica="x", user="cat")
    config = world.config(folder)
    lake = Lake(config.lake_path)
    with served(folder, told) as endpoint, clock.fixed(BEGIN + timedelta(hours=30)):
        for name in sources:
            source = config.sources[name].model_copy(update={"endpoint": endpoint})
            collectors.load(name).collect(name, source, config, lake, Silence())
    world.land(lake)
    with published(world.build(folder, now=BEGIN + timedelta(days=3))) as opened:
        yield opened


def test_four_pods_at_a_quarter_of_one_gpu_add_up_to_one_gpu_with_its_idle_time(con: Any) -> None:
    """opencost/opencost#3828, Project-HAMi/HAMi#3073: each of them was charged a whole one."""
    rows = con.execute(
        "select replica_id, sum(cost) from gpu_days where gpu_uuid = 'H' group by all order by 1"
    ).fetchall()
    assert rows == [(f"p{number}", Decimal(1)) for number in range(4)]
    kinds = dict(con.execute("select kind, sum(cost) from cost_ledger group by all").fetchall())
    assert sum(kinds.values()) == 8
    assert kinds["idle"] == 4


def test_a_node_with_two_gpu_models_is_the_sum_of_both(con: Any) -> None:
    """project-koku/koku PR#6163."""
    rows = con.execute("select gpu_model, sum(cost), sum(gpu_seconds) from gpu_days group by all order by 1").fetchall()
    assert rows == [("A100", Decimal(4), 3600), ("H100", Decimal(4), 3600)]


def test_the_busy_time_of_a_shared_gpu_is_not_multiplied_by_its_pods(con: Any) -> None:
    (covered, busy) = con.execute(
        "select sum(covered_seconds), sum(busy_seconds) from gpu_usage where gpu_uuid = 'H'"
    ).fetchone()
    assert (covered, busy) == (3600, 1800)
    users = dict(
        con.execute("select user_id, sum(cost) from cost_ledger where kind = 'direct' group by all").fetchall()
    )
    assert {user: round(cost, 6) for user, cost in users.items()} == {
        "ann": Decimal("0.5"), "bob": Decimal("0.25"), "cat": Decimal(2)
    }  # fmt: skip
