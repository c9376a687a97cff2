"""Every check of sql/checks sees its rule broken, names count, query and rows, and stops the publish."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from decimal import Decimal
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from farthing.build import runner
from farthing.errors import InvariantError
from farthing.lake import Lake
from farthing.lake.schemas import BUILT, COST_LEDGER, REQUEST_COSTS, Table
from farthing.warehouse import POINTER, open_warehouse
from tests.farthing.build.world import DAY, GPU_POOL, World, at

FAST = {"attribution": {"cell_seconds": 60}, "project": {"reporting_currency": "USD"}}
PICO = Decimal("0.000000000001")
Tamper = Callable[[str, str], None]


def _world() -> World:
    world = World(GPU_POOL, {"name": "api", "kind": "api", "match": {"ResourceId": "vendor"}}, **FAST)
    world.charge(7, id="c1")
    world.charge("1.5", resource="other", invoice="II", id="c2")
    world.charge(4, resource="vendor")
    world.gpu()
    world.usage(at("10:00"), at("11:00"), 0.5, every=60)
    world.request(at("10:30"), user="eve", id="q3", replica=None, input_tokens=1)
    world.request(at("10:00"), at("10:20"), user="ann", id="q1")
    world.request(at("10:10"), at("10:40"), user="bob", id="q2")
    return world


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("good")
    world = _world()
    world.land(Lake(str(folder / "lake")))
    world.build(folder)
    return folder


@pytest.fixture
def project(good: Path, tmp_path: Path) -> Path:
    """A project of its own whose warehouse is published."""
    return Path(shutil.copytree(good, tmp_path / "project"))


@pytest.fixture
def tamper(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Tamper]:
    """Put another file in the place of one of sql/; `{}` in it stands for the SELECT that it had."""
    real = runner._sql_files

    def change(name: str, sql: str) -> None:
        def files(folder: Traversable) -> Iterator[Traversable]:
            for path in real(folder):
                if path.name == f"{name}.sql":
                    other = tmp_path / path.name
                    was = path.read_text()
                    comment = "".join(f"{line}\n" for line in was.splitlines() if line.startswith("--"))
                    other.write_text(comment + sql.replace("{}", f"(\n{was}\n)"))
                    yield other
                else:
                    yield path

        monkeypatch.setattr(runner, "_sql_files", files)
        runner.models.cache_clear()

    yield change
    runner.models.cache_clear()


def refused(project: Path, check: str, rows: int, *shown: object) -> InvariantError:
    """A build of `project` fails by `check` with so many `rows`; what was published before is still there."""
    config = _world().config(project)
    pointer = project / "warehouse" / POINTER
    before = pointer.read_text()
    files = sorted(pointer.parent.glob("*"))
    with pytest.raises(InvariantError) as caught:
        _world().build(project)
    error = caught.value
    assert (error.check, len(error.rows)) == (check, rows)
    assert f"{check}: check failed with {rows} row(s); nothing was published" in str(error)
    assert f"-- {check}:" in error.query
    for text in shown:
        assert repr(str(text)) in str(error)
    assert (pointer.read_text(), sorted(pointer.parent.glob("*"))) == (before, files)
    with open_warehouse(config) as con:
        assert con.execute("select sum(cost) from cost_ledger").fetchall() == [(Decimal("12.5"),)]
    return error


def corrupt(project: Path, table: Table, change: Callable[[list[dict[str, Any]]], Any]) -> None:
    """Rewrite the rows of the one day of a built table in the lake behind the back of the build."""
    lake = Lake(str(project / "lake"))
    with duckdb.connect() as con:
        lake.view(con, table)
        rows = con.sql(f"select * from lake.{table.name} order by all").to_arrow_table().to_pylist()
    change(rows)
    lake.replace(table, pa.Table.from_pylist(rows, schema=table.schema), where={"day": [DAY]})


def add(rows: list[dict[str, Any]], row: int = 0, **changes: Any) -> None:
    rows[row].update(changes)


def test_each_charge_of_the_lake_is_in_one_pool_once(project: Path, tamper: Tamper) -> None:
    tamper("bill_charges", "select * from {} where x_charge_id <> 'c2'")
    refused(project, "every_charge_in_one_pool", 1, "c2", 0)
    tamper("bill_charges", "from {} union all from {} where x_charge_id = 'c1'")
    refused(project, "every_charge_in_one_pool", 1, "c1", 2)
    tamper("bill_charges", "select * replace (null::varchar as pool) from {}")
    refused(project, "every_charge_in_one_pool", 3)


def test_days_and_hours_to_come_are_the_whole_bill(project: Path, tamper: Tamper) -> None:
    tamper("pool_days", "select * replace (pico + (pool = 'gpu')::int as pico) from {}")
    refused(project, "days_add_up_to_the_bill", 1, "gpu", 7 * 10**12, 7 * 10**12 + 1)
    tamper("pool_days", "select * from {} where pool <> 'unassigned'")
    refused(project, "days_add_up_to_the_bill", 1, "unassigned")


@pytest.mark.parametrize("change", ["s - 1 as s", "e + 1 as e", "e - s as f", "s - 1 as f"])
def test_a_request_costs_nothing_outside_its_life(project: Path, tamper: Tamper, change: str) -> None:
    tamper(
        "flights",
        f"select * replace ({change}) from {{}} where request_id = 'q1' union all from {{}} where request_id <> 'q1'",
    )
    error = refused(project, "cost_only_inside_a_life", 1, "q1")
    assert error.rows[0][:2] == (DAY, "log")


def test_no_two_parties_have_one_number(project: Path, tamper: Tamper) -> None:
    tamper("parties", "select * replace (1::ubigint as party_key) from {}")
    refused(project, "each_party_has_its_own_number", 1, "1")


@pytest.mark.parametrize("change", ["cost + 0.000000000001 as cost", "idle_cost - 0.000000000001 as idle_cost"])
def test_the_parts_of_a_gpu_are_its_cost_and_gpus_are_the_ledger(project: Path, tamper: Tamper, change: str) -> None:
    tamper(
        "gpu_days",
        f"select * replace (({change.partition(' as ')[0]})::decimal(38, 12) as"
        f" {change.partition(' as ')[2]}) from {{}}",
    )
    refused(project, "gpu_costs_add_up", 1, "gpu")


def test_a_gpu_missing_from_gpu_days_is_seen(project: Path, tamper: Tamper) -> None:
    world = _world()
    world.gpu("G2", None)
    world.rows = {**{name: [] for name in world.rows}, "gpu_inventory": world.rows["gpu_inventory"][1:]}
    world.land(Lake(str(project / "lake")))
    tamper("gpu_days", "select * from {} where gpu_uuid = 'G'")
    refused(project, "gpu_costs_add_up", 1, "gpu", "3.500000000000", "7.000000000000")


@pytest.mark.parametrize(
    ("change", "rows"),
    [
        ("select * replace ((cost + (pool = 'unassigned')::int * 1e-12::decimal(38, 12))::decimal(38, 12) as cost)", 1),
        ("select * replace (pool <> 'unassigned' as estimated)", 0),  # no money: no breach
        ("select * replace (pool = 'unassigned' as provisional)", 2),  # a bill confirms it
        ("select * replace (case pool when 'unassigned' then 'EUR' else 'USD' end as BillingCurrency)", 2),
        ("select * replace (case pool when 'unassigned' then 'ghost' else pool end as pool)", 2),
    ],
)
def test_the_ledger_of_a_day_is_its_bill(project: Path, tamper: Tamper, change: str, rows: int) -> None:
    tamper("cost_ledger", f"{change} from {{}}")
    if rows:
        refused(project, "ledger_equals_the_bill", rows, "unassigned")
    else:
        _world().build(project)


def test_a_pool_without_any_line_in_the_ledger_is_seen(project: Path, tamper: Tamper) -> None:
    tamper("cost_ledger", "select * from {} where pool <> 'unassigned'")
    refused(project, "ledger_equals_the_bill", 1, "unassigned", "1.500000000000", None)


def test_nobody_gets_money_back_that_no_bill_gave(project: Path, tamper: Tamper) -> None:
    tamper(
        "cost_ledger",
        "select * replace ((cost + case user_id when 'ann' then 9 when 'bob' then -9 else 0 end)::decimal(38, 12)"
        " as cost) from {}",
    )
    error = refused(project, "no_negative_direct_cost", 1, "bob", "direct")
    assert Decimal(str(error.rows[0][4])) < 0


def test_a_request_that_is_in_the_log_twice_stops_the_build(project: Path) -> None:
    again = _world()
    again.rows = {**{name: [] for name in again.rows}, "requests": again.rows["requests"][:1]}
    again.land(Lake(str(project / "lake")))
    refused(project, "no_request_twice", 1, 2)


def test_a_request_that_is_twice_over_midnight_stops_the_build(project: Path) -> None:
    again = World()
    again.request(at("10:00", 0), at("10:05", 1), id="q1")
    again.land(Lake(str(project / "lake")))
    refused(project, "no_request_twice", 1, 2)


def test_two_parties_of_one_number_are_seen(project: Path, tamper: Tamper) -> None:
    tamper("parties", "from {} union all select * replace ('twin' as user_id) from {} where user_id = 'eve'")
    refused(project, "each_party_has_its_own_number", 1, 2)


def test_an_invoice_that_the_ledger_does_not_hand_out_is_seen(project: Path) -> None:
    corrupt(project, COST_LEDGER, lambda rows: add(rows, cost=rows[0]["cost"] + PICO))
    error = refused(project, "invoices_reconcile", 1, "I", "11.000000000000", "7.000000000000")
    assert error.rows[0][7] == 4  # the pool of the broken line, as a whole


def test_a_pool_of_no_bill_in_the_ledger_is_seen(project: Path) -> None:
    corrupt(project, COST_LEDGER, lambda rows: rows.append({**rows[0], "pool": "ghost", "cost": PICO}))
    refused(project, "pools_reconcile", 1, "ghost", PICO)


@pytest.mark.parametrize("mart", ["user_day", "user_month", "model_day", "team_month", "customer_month"])
def test_a_mart_that_loses_a_line_is_seen(project: Path, tamper: Tamper, mart: str) -> None:
    tamper(mart, "select * replace ((cost + 0.000000000001)::decimal(38, 12) as cost) from {}")
    refused(project, "marts_add_up_to_the_ledger", 1, mart)


def test_a_converted_sum_that_differs_by_month_and_by_day_is_seen(project: Path, tamper: Tamper) -> None:
    off = "case when pool = 'gpu' then 0.000000000001 else 0 end"
    tamper(
        "reporting_month", f"select * replace ((reporting_cost + {off})::decimal(38, 12) as reporting_cost) from {{}}"
    )
    refused(project, "reporting_leaves_no_line_out", 1, "gpu")


@pytest.mark.parametrize("change", ["less", "gone"])
def test_request_costs_that_are_not_the_ledger_are_seen(project: Path, change: str) -> None:
    def lose(rows: list[dict[str, Any]]) -> None:
        if change == "less":
            rows.pop()
        else:
            rows[:] = [row for row in rows if row["pool"] == "api"]

    corrupt(project, REQUEST_COSTS, lose)
    refused(project, "requests_add_up_to_the_ledger", 1, "gpu")


def test_a_training_run_that_the_months_of_its_model_do_not_add_up_to_is_seen() -> None:
    con = duckdb.connect()
    con.execute("create table trained_models as select 'own' as model")
    con.execute("create table training_runs as select 'own' as model_produced, 'USD' as BillingCurrency, 7.5 as cost")
    con.execute(
        "create table training_amortisation(model text, BillingCurrency text, cost decimal, building_cost decimal)"
    )
    con.execute("insert into training_amortisation values ('own', 'USD', 5, 2), ('own', 'USD', 0, 0)")
    tables = frozenset({"trained_models", "training_runs", "training_amortisation"})
    name = "amortisation_adds_up_to_the_runs"
    [model] = [
        runner.parse(text, name=name, file=name)
        for file, text in runner.texts("checks/warehouse").items()
        if name in file
    ]
    assert model.reads == tables
    with pytest.raises(InvariantError, match=name):
        runner.check(con, {name: model}, [name])
    con.execute("update training_amortisation set cost = cost + 0.5 where cost > 0")
    runner.check(con, {name: model}, [name])


def test_a_number_that_leaves_its_range_is_said_with_its_statement(project: Path, tamper: Tamper) -> None:
    tamper("cost_ledger", "select * replace ((cost * 1e30)::decimal(38, 12) as cost) from {}")
    with pytest.raises(InvariantError, match=r"cost_ledger\.sql: .*(Conversion|Out of Range)"):
        _world().build(project)


def test_a_failed_day_does_not_count_as_built(project: Path, tamper: Tamper, monkeypatch: pytest.MonkeyPatch) -> None:
    lake = Lake(str(project / "lake"))
    world = World()
    world.charge(3, at("10:00", 2))
    world.land(lake)
    before = lake.pins(BUILT)
    tamper("cost_ledger", "select * replace ((cost + 1)::decimal(38, 12) as cost) from {}")
    with pytest.raises(InvariantError):
        _world().build(project)
    assert lake.pins(BUILT) == before
    monkeypatch.undo()
    runner.models.cache_clear()
    assert [str(day) for day in _world().build(project).days_built] == ["2026-10-02"]


def test_every_check_has_a_test() -> None:
    checks = set(runner.models("staging", "core", "checks/bill", "checks/day")) & {
        path.name.removesuffix(".sql")
        for room in ("bill", "day")
        for path in runner.ROOT.joinpath("checks", room).iterdir()
    } | {path.name.removesuffix(".sql") for path in runner.ROOT.joinpath("checks", "warehouse").iterdir()}
    told = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_*.py"))
    assert [name for name in sorted(checks) if f'"{name}"' not in told] == []
