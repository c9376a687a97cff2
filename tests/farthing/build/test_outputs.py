"""A day with very many requests is written in pieces, and is as whole as any other."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from farthing.build import outputs
from farthing.lake import Lake
from tests.farthing.build.world import GPU_POOL, World, at, published

FAST = {"attribution": {"cell_seconds": 60, "law_minimum_requests": 10_000}}


def test_a_day_written_in_pieces_keeps_all_its_request_costs_beside_small_days(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outputs, "ROWS_IN_A_PIECE", 2)
    world = World(GPU_POOL, **FAST)
    world.gpu()
    for day in (1, 2, 3):
        world.charge(day, at("10:00", day))
        world.usage(at("10:00", day), at("11:00", day), 1, every=600)
    for number in range(5):
        world.request(at("10:00", 2), at("11:00", 2), user=f"user-{number}", id=f"many-{number}")
    for day in (1, 3):
        world.request(at("10:00", day), at("11:00", day), user="ann", id=f"one-{day}")
    world.land(Lake(str(tmp_path / "lake")))
    with published(world.build(tmp_path)) as con:
        rows = con.execute(
            "select day(day), count(*), sum(cost) = (select sum(cost) from cost_ledger as ledger"
            " where ledger.day = request_costs.day and kind = 'direct') from request_costs group by day order by all"
        ).fetchall()
        assert rows == [(1, 1, True), (2, 5, True), (3, 1, True)]
        [(total,)] = con.execute("select sum(cost) from cost_ledger").fetchall()
        assert total == Decimal(6)
