"""Only touched days are built; what was known at a time can be built again beside what is published."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from farthing.build import BuildResult, days
from farthing.errors import ConfigError, InvariantError
from farthing.lake import Lake
from farthing.lake.schemas import BUILD_DAYS, CHARGES, COST_LEDGER, REQUEST_COSTS, REQUESTS, Table
from farthing.warehouse import POINTER, open_warehouse
from tests.farthing.build.world import GPU_POOL, World, at, published

FAST = {"attribution": {"cell_seconds": 60, "law_minimum_requests": 10_000}}
Change = Callable[[World], None]


def _four_days() -> World:
    world = _empty()
    for day in (1, 2, 3, 4):
        world.charge(day, at("10:00", day))
        world.usage(at("10:00", day), at("11:00", day), 1, every=600)
    world.gpu()
    world.request(at("10:00", 1), at("11:00", 1), user="ann", id="first")
    world.request(at("23:50", 2), at("10:30", 3), user="bob", id="night")
    return world


def _empty() -> World:
    return World(
        GPU_POOL,
        {"name": "disk", "kind": "shared", "driver": "metric", "metric": "size", "match": {"ResourceId": "disk"}},
        **FAST,
    )


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("built")
    world = _four_days()
    world.land(Lake(str(folder / "lake")))
    assert days_of(world.build(folder)) == [1, 2, 3, 4]
    return folder


@pytest.fixture
def project(built: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(built, tmp_path / "project"))


def days_of(result: BuildResult) -> list[int]:
    return [day.day for day in result.days_built]


def rows_of(folder: Path, table: Table, query: str) -> list[tuple[Any, ...]]:
    with duckdb.connect() as con:
        Lake(str(folder / "lake")).view(con, table)
        return con.execute(query).fetchall()


def test_nothing_changed_builds_nothing_and_keeps_the_warehouse(project: Path) -> None:
    before = (project / "warehouse" / POINTER).read_text()
    result = _empty().build(project)
    assert (days_of(result), result.days_current) == ([], 4)
    assert (result.warehouse.name + "\n", (project / "warehouse" / POINTER).read_text()) == (before, before)


@pytest.mark.parametrize(
    ("change", "days"),
    [
        (lambda w: w.request(at("12:00", 1), at("12:01", 1)), [1]),
        (lambda w: w.request(at("12:00", 2), at("12:01", 2)), [2]),
        (lambda w: w.request(at("23:00", 3), at("00:30", 4)), [3, 4]),
        (lambda w: w.request(at("12:00", 1)), [1, 2]),  # no end: the next day looks whether it lives on
        (lambda w: w.charge(1, at("12:00", 4)), [4]),
        (lambda w: w.charge(1, at("12:00", 2), at("12:00", 3)), [2, 3]),
        (lambda w: w.charge(1, at("12:00", 7)), [7]),
        (lambda w: w.usage(at("12:00", 1), at("12:10", 1), 0.5), [1]),
        (lambda w: w.usage(at("23:59", 3), at("00:01", 4), 0.5), [3, 4]),
        (lambda w: w.metric("size", "team", "red", 1, day=date(2026, 10, 4)), [4]),
        (lambda w: w.identity("ann", "Ann", at("00:00", 3)), [3, 4]),
        (lambda w: w.identity("ann", "Ann"), [1, 2, 3, 4]),
        (lambda w: w.job(at("12:00", 2), at("13:00", 2), gpu_uuids="G"), [2]),
        (lambda w: w.gpu("H", valid_from=at("12:00", 3)), [3, 4]),
    ],
)
def test_a_change_touches_the_days_that_it_is_about(project: Path, change: Change, days: list[int]) -> None:
    world = _empty()
    change(world)
    world.land(Lake(str(project / "lake")))
    assert days_of(world.build(project)) == days


def test_a_month_replaced_by_the_same_rows_touches_nothing(project: Path) -> None:
    lake = Lake(str(project / "lake"))
    rows = _four_days().arrow("charges")
    other = [f"again-{number}" for number in range(rows.num_rows)]
    names = rows.schema.get_field_index("x_charge_id")
    rows = rows.set_column(names, "x_charge_id", pa.array(other))
    lake.replace(CHARGES, rows.take(list(reversed(range(rows.num_rows)))), where={"x_source": "bill"})
    result = _empty().build(project)
    assert days_of(result) == []
    with published(result) as con:  # it is another version of the bill all the same
        assert con.execute("select count(*) from charges where x_charge_id like 'again-%'").fetchall() == [(4,)]


def test_days_that_no_source_speaks_of_any_more_vanish(project: Path) -> None:
    lake = Lake(str(project / "lake"))
    late = _empty()
    late.charge(5, at("12:00", 7))
    late.rows["charges"][0]["x_source"] = "second"
    late.land(lake)
    assert days_of(late.build(project)) == [7]
    lake.replace(CHARGES, CHARGES.schema.empty_table(), where={"x_source": "second"})
    result = late.build(project)
    assert (days_of(result), result.days_current) == ([], 4)
    for table in (COST_LEDGER, BUILD_DAYS):
        assert rows_of(project, table, f"select max(day) from lake.{table.name}") == [(date(2026, 10, 4),)]
    assert [str(total.ledger) for total in result.totals] == ["10.000000000000"]


def test_a_changed_rule_touches_every_day(project: Path) -> None:
    world = _empty()
    world.pools[0]["idle"] = "proportional"
    assert days_of(world.build(project)) == [1, 2, 3, 4]
    world.tables["warehouse"] = {"request_days": 2}
    result = world.build(project)
    assert days_of(result) == []  # how much the warehouse shows is nothing of the ledger's
    with published(result) as con:
        assert con.execute("select distinct day from request_costs").fetchall() == [(date(2026, 10, 3),)]


def test_days_before_the_first_day_that_was_asked_for_stay_as_they_are(project: Path) -> None:
    world = _empty()
    world.charge(1, at("12:00", 1))
    world.charge(1, at("12:00", 4))
    world.land(Lake(str(project / "lake")))
    with pytest.raises(InvariantError, match="invoices_reconcile"):
        world.build(project, first_day=date(2026, 10, 3))  # a ledger that is not the bill is not published
    assert days_of(world.build(project)) == [1]


def test_an_open_day_ends_at_the_last_full_hour_and_the_rest_is_accrued(tmp_path: Path) -> None:
    world = World(GPU_POOL, **FAST)
    world.charge(24, at("00:00", 2), at("24:00", 2))
    world.charge(1, at("10:00", 1))
    world.land(Lake(str(tmp_path / "lake")))
    morning = world.build(tmp_path, now=at("10:40", 2))
    assert days_of(morning) == [1, 2]
    [total] = morning.totals
    assert [total.bill, total.ledger, total.accrued, total.difference] == [25, 11, 14, 0]
    assert days_of(world.build(tmp_path, now=at("10:59", 2))) == []
    noon = world.build(tmp_path, now=at("12:00", 2))
    assert days_of(noon) == [2]
    assert noon.totals[0].accrued == 12
    with published(noon) as con:
        query = "select landed_cost, ledger_cost, accrued_cost, difference from reconciliation"
        assert con.execute(query).fetchall() == [(25, 13, 12, 0)]
    assert days_of(world.build(tmp_path, now=at("00:00", 3))) == [2]
    assert days_of(world.build(tmp_path, now=at("00:00", 4))) == []


def _teaching(day: int, *, slope: int = 1000, user: str = "u") -> World:
    """A day whose requests teach a law of `slope` microseconds a token."""
    world = World(GPU_POOL, attribution={"cell_seconds": 60, "law_minimum_requests": 80})
    for number in range(80):
        tokens = (500, 1000, 2000, 4000)[number % 4]
        begun = at("00:00", day) + timedelta(minutes=10 * number)
        seen = begun + timedelta(microseconds=200_000 + slope * tokens)
        world.request(begun, seen + timedelta(seconds=5), first=seen, input_tokens=tokens, output_tokens=51, user=user)
    return world


def test_a_law_of_an_earlier_day_that_changes_touches_the_days_that_used_it_and_no_others(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path / "lake"))
    world = _teaching(1)
    world.gpu()
    for day in (1, 2, 3, 4):
        world.charge(1, at("10:00", day))
    one: dict[str, Any] = {"input_tokens": 800, "first": at("10:30", 2)}
    world.request(at("10:00", 2), at("10:40", 2), **one)  # uses the law of the first day
    world.request(at("10:00", 4), at("10:40", 4), model="unknown", input_tokens=800, first=at("10:30", 4))
    world.land(lake)
    assert days_of(world.build(tmp_path)) == [1, 2, 3, 4]

    def again(**other: Any) -> list[int]:
        rows = _teaching(1, **other).arrow("requests")
        lake.replace(REQUESTS, rows, where={"day": date(2026, 10, 1)})
        return days_of(world.build(tmp_path))

    assert again(user="renamed") == [1]  # the same law
    assert again(slope=2000) == [1, 2]


@pytest.mark.parametrize("together", [1, 8])
def test_a_request_without_an_end_lives_on_into_the_next_day_and_no_further(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, together: int
) -> None:
    monkeypatch.setattr(days, "_BATCH_DAYS", together)
    world = _teaching(1)  # in one file with requests that ended long before midnight
    world.gpu()
    for day in (1, 2, 3):
        world.charge(1, at("00:00", day), at("24:00", day))
        world.usage(at("00:00", day), at("24:00", day), 0.5, every=3600)
    world.request(at("23:59", 1), first=at("23:59:30", 1), output_tokens=3_000_000, id="endless")  # by the law 3.5 days
    world.land(Lake(str(tmp_path / "lake")))
    assert days_of(world.build(tmp_path)) == [1, 2, 3]
    query = "select day(day) from lake.request_costs where request_id = 'endless' and cost > 0 order by 1"
    assert rows_of(tmp_path, REQUEST_COSTS, query) == [(1,), (2,)]


def test_as_of_builds_what_was_known_then_into_a_place_of_its_own(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path / "lake"))
    yesterday = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(days=2)
    world = World(GPU_POOL, **FAST)
    world.charge(3, yesterday)
    world.land(lake)
    time.sleep(0.05)
    then = datetime.now(UTC)
    time.sleep(0.05)
    more = World(GPU_POOL, **FAST)
    more.charge(4, yesterday)
    more.request(yesterday, replica=None)
    more.land(lake)
    now = datetime.now(UTC)
    latest = world.build(tmp_path, now=now)
    pointer = (tmp_path / "warehouse" / POINTER).read_text()
    ledger = rows_of(tmp_path, COST_LEDGER, "select sum(cost) from lake.cost_ledger")

    earlier = world.build(tmp_path, now=now, as_of=then)
    assert [latest.totals[0].ledger, earlier.totals[0].ledger] == [7, 3]
    assert earlier.warehouse.parent != latest.warehouse.parent
    assert (tmp_path / "warehouse" / POINTER).read_text() == pointer
    assert rows_of(tmp_path, COST_LEDGER, "select sum(cost) from lake.cost_ledger") == ledger == [(7,)]
    with open_warehouse(world.config(tmp_path)) as con:
        assert con.execute("select sum(cost) from cost_ledger").fetchall() == [(7,)]
    assert days_of(world.build(tmp_path, now=now, as_of=then)) == []
    with pytest.raises(ConfigError, match="nothing to build from"):
        world.build(tmp_path, as_of=then - timedelta(days=1))


def test_an_empty_lake_is_said_in_words(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"the lake has nothing to build from\. Fix: run `farthing collect` first"):
        _empty().build(tmp_path)


def test_a_ledger_without_request_costs_is_the_same_ledger(project: Path) -> None:
    world = _empty()
    world.tables["attribution"] = {**FAST["attribution"], "request_costs": False}
    before = rows_of(project, COST_LEDGER, "from lake.cost_ledger order by all")
    result = world.build(project)
    assert rows_of(project, COST_LEDGER, "from lake.cost_ledger order by all") == before
    with published(result) as con:
        assert con.execute("select count(*) from request_costs").fetchall() == [(0,)]


def test_promoted_tags_are_columns_of_the_published_ledger(tmp_path: Path) -> None:
    world = World({"name": "api", "kind": "api"}, **FAST, ledger={"dimensions": ["squad", "a.b"]})
    world.charge(Decimal(2))
    world.request(replica=None, input_tokens=1, tags='{"squad": "x", "a.b": "y"}')
    world.land(Lake(str(tmp_path / "lake")))
    with published(world.build(tmp_path)) as con:
        assert con.execute('select squad, "a.b", cost from cost_ledger').fetchall() == [("x", "y", 2)]
