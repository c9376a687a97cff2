"""What farthing issues itself: in the lake at once, in the warehouse without a build."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from farthing import issued
from farthing.lake import Lake
from farthing.lake.issued import ALERTS, FORECASTS, RUNS
from farthing.warehouse import current, open_warehouse
from tests.farthing.build.world import World, at

_NOW = datetime(2026, 10, 6, tzinfo=UTC)


def _world() -> World:
    world = World(attribution={"cell_seconds": 60}, ledger={"dimensions": ["branch"]})
    world.charge(2)
    world.gpu()
    world.usage(at("10:00"), at("11:00"), 0.5)
    world.request(at("10:00"), at("11:00"), tags='{"branch": "main"}', team_id="search")
    return world


@pytest.fixture
def project(tmp_path: Path) -> tuple[World, Lake, Path]:
    world = _world()
    lake = Lake(str(tmp_path / "lake"))
    world.land(lake)
    world.build(tmp_path)
    return world, lake, tmp_path


def _run(number: int) -> dict[str, object]:
    return {"run_id": f"run-{number}", "started_at": _NOW, "ended_at": _NOW, "state": "ok", "exit_code": 0}


def test_what_is_issued_is_published_without_a_build(project: tuple[World, Lake, Path]) -> None:
    world, lake, folder = project
    config = world.config(folder)
    before = current(Path(config.warehouse_path))
    row = {"as_of": date(2026, 10, 5), "dimension": "total", "day": date(2026, 10, 6), "paths": [1.5, 2.0]}
    issued.add(lake, FORECASTS, [row])
    issued.add(lake, RUNS, [_run(1)])
    path = issued.publish(config, lake, print)
    assert path is not None
    assert path != before
    with open_warehouse(config) as con:
        assert con.execute("select key, paths from forecasts").fetchall() == [(None, [1.5, 2.0])]
        assert con.execute("select run_id from runs").fetchall() == [("run-1",)]
        [(total,)] = con.execute("select sum(cost) from cost_ledger").fetchall()
        assert total == Decimal(2)
    assert issued.publish(config, lake, print) == path, "nothing new: nothing is published"


def test_of_forecasts_the_paths_of_the_newest_alone_are_published_and_the_lake_keeps_all(
    project: tuple[World, Lake, Path],
) -> None:
    world, lake, folder = project
    for number, issue in enumerate(("old", "new")):
        row = {"issue_id": issue, "issued_at": _NOW + timedelta(days=number), "as_of": date(2026, 10, 5 + number)}
        issued.add(lake, FORECASTS, [{**row, "key": key, "q90": 3.0, "paths": [1.5, 2.0]} for key in ("a", "b")])
    query = "select issue_id, key, q90, paths from forecasts order by issue_id desc, key"
    published = [
        *(("old", key, 3.0, None) for key in ("a", "b")),
        *(("new", key, 3.0, [1.5, 2.0]) for key in ("a", "b")),
    ]
    issued.publish(world.config(folder), lake, print)
    with open_warehouse(world.config(folder)) as con:
        assert con.execute(query).fetchall() == published
    changed = World(attribution={"cell_seconds": 30})
    changed.build(folder)
    with open_warehouse(changed.config(folder)) as con:
        assert con.execute(query).fetchall() == published, "a build does the same"
    with duckdb.connect() as con:
        assert con.execute(f"select count(paths) from ({lake.select(FORECASTS)})").fetchone() == (4,)


def test_a_build_after_it_keeps_what_was_issued(project: tuple[World, Lake, Path]) -> None:
    _, lake, folder = project
    issued.add(lake, RUNS, [_run(1)])
    changed = World(attribution={"cell_seconds": 30})
    before = current(folder / "warehouse")
    changed.build(folder)
    assert current(folder / "warehouse") != before
    with open_warehouse(changed.config(folder)) as con:
        assert con.execute("select run_id from runs").fetchall() == [("run-1",)]


def test_one_key_is_one_row_and_a_load_counts_once(project: tuple[World, Lake, Path]) -> None:
    world, lake, folder = project
    alert = {"alert_id": "a", "event": "open", "channel": "slack"}
    issued.put(lake, ALERTS, [{**alert, "state": "failed"}])
    issued.put(lake, ALERTS, [{**alert, "state": "sent"}])
    assert issued.add(lake, RUNS, [_run(1)], load="once")
    assert not issued.add(lake, RUNS, [_run(1)], load="once")
    issued.publish(world.config(folder), lake, print)
    with open_warehouse(world.config(folder)) as con:
        assert con.execute("select state from alerts").fetchall() == [("sent",)]
        assert con.execute("select count(*) from runs").fetchone() == (1,)


def test_a_column_that_a_table_lacks_is_a_mistake(project: tuple[World, Lake, Path]) -> None:
    _, lake, _ = project
    with pytest.raises(ValueError, match="table runs has no column amount"):
        issued.add(lake, RUNS, [{"amount": 1}])


def test_every_dimension_of_the_scopes_sums_to_the_ledger(project: tuple[World, Lake, Path]) -> None:
    world, _, folder = project
    with open_warehouse(world.config(folder)) as con:
        sums = dict(con.execute("select dimension, sum(cost) from scope_days group by all").fetchall())
        tags = sums.pop("branch")
        assert set(sums) == {
            "total", "class", "pool", "kind", "provider", "model", "team", "team x model", "customer", "feature",
            "environment",
        }  # fmt: skip
        assert set(sums.values()) == {Decimal(2)}
        assert 0 < tags < 2
        found = con.execute(
            "select key, requests from scope_days where dimension in ('team', 'branch', 'total') and requests > 0"
            " order by dimension, key"
        ).fetchall()
        assert (None, 1) in found
        assert ("search", 1) in found
