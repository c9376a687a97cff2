"""The closing summary of the demo says what the ledger says, of the last whole month and of all months."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from farthing import config as configuration
from farthing.lake import Lake
from farthing.summary import summary
from farthing.warehouse import open_warehouse
from tests.farthing.build.world import World, at
from tests.farthing.reports.conftest import MARKUP, company, publish

SEPTEMBER, OCTOBER = "month(day) = 9", "month(day) = 10"


@pytest.fixture(scope="module")
def con(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    """Of two whole months and the first day of November."""
    folder = publish(company(), tmp_path_factory.mktemp("company"), paid=True)
    with open_warehouse(configuration.load(folder)) as opened:
        yield opened


def rows(con: duckdb.DuckDBPyConnection, sheet: str, **where: object) -> list[dict[str, Any]]:
    [found] = [one for one in summary(con, "USD") if one.name == sheet]
    named = (dict(zip(found.columns, row, strict=True)) for row in found.rows)
    return [row for row in named if all(row[column] == value for column, value in where.items())]


def spent(con: duckdb.DuckDBPyConnection, where: str) -> Decimal:
    [(cost,)] = con.execute(f"select sum(cost) from cost_ledger join pools using (pool) where {where}").fetchall()
    assert isinstance(cost, Decimal)
    return cost


@pytest.mark.slow
def test_spend_by_class_is_the_ledgers_in_each_currency(con: duckdb.DuckDBPyConnection) -> None:
    for period, days in (("October 2026", OCTOBER), ("all", "true")):
        for currency in ("USD", "EUR"):
            found = {row["class"]: row["cost"] for row in rows(con, "classes", period=period, BillingCurrency=currency)}
            expected = con.execute(
                "select coalesce(class, 'none'), sum(cost) from cost_ledger left join pools using (pool)"
                f" where {days} and BillingCurrency = '{currency}' group by 1"
            ).fetchall()
            assert found == dict(expected), (period, currency)
    assert {row["period"] for row in rows(con, "classes")} == {"October 2026", "all"}  # November has not ended


@pytest.mark.slow
def test_provisional_cost_is_a_share_of_the_class(tmp_path: Path) -> None:
    world = World({"name": "gpu", "kind": "gpu", "match": {"ResourceId": "node*"}})
    world.gpu(valid_from=datetime(2026, 1, 1, tzinfo=UTC))
    for hour in range(24):
        world.charge("3", at(f"{hour}:00"))
    world.usage(at(), at("08:00", 2), 0.5, every=3600)
    (tmp_path / "farthing.toml").write_text('[project]\nname = "open"\ncurrency = "USD"\n')
    world.land(Lake(world.config(tmp_path).lake_path))
    world.build(tmp_path, now=at("08:00", 2))
    with open_warehouse(configuration.load(tmp_path)) as con:
        provisional = spent(con, "provisional")
        [row] = rows(con, "classes", period="all")
    assert row["provisional_cost"] == provisional == 8 * 3
    assert row["provisional_share"] == pytest.approx(float(provisional / row["cost"]))


@pytest.mark.slow
def test_margin_is_of_the_months_with_revenue(con: duckdb.DuckDBPyConnection) -> None:
    [october] = rows(con, "margin", period="October 2026")
    cogs = spent(con, f"{OCTOBER} and class = 'cogs' and BillingCurrency = 'USD'")
    assert october["gross_margin"] == Decimal("311.31") - cogs
    assert october["operating_margin"] == Decimal("311.31") - spent(con, f"{OCTOBER} and BillingCurrency = 'USD'") - (
        unassigned(con)
    )
    assert october["gross_margin_share"] == pytest.approx(float(october["gross_margin"]) / 311.31)
    [everything] = rows(con, "margin", period="all")
    assert everything["revenue"] == Decimal("711.31")


def unassigned(con: duckdb.DuckDBPyConnection) -> Decimal:
    """What no pool took in October: the ledger has it in a pool that `pools` does not know."""
    [(cost,)] = con.execute(
        f"select coalesce(sum(cost), 0) from cost_ledger where {OCTOBER} and BillingCurrency = 'USD'"
        " and pool not in (select pool from pools)"
    ).fetchall()
    assert isinstance(cost, Decimal)
    return cost


def test_a_unit_costs_cogs_by_how_many(con: duckdb.DuckDBPyConnection) -> None:
    for period, days in (("October 2026", OCTOBER), ("all", "true")):
        [(requests,)] = con.execute(f"select sum(requests) from usage_days where {days}").fetchall()
        cogs = spent(con, f"{days} and class = 'cogs' and BillingCurrency = 'USD'")
        [row] = rows(con, "units", period=period, unit="request")
        assert (row["quantity"], row["cogs_cost"]) == (requests, cogs)
        assert row["cost_per_unit"] == (cogs / requests).quantize(Decimal("1E-12"))


def test_losses_are_of_customers_who_pay_less_than_their_cogs(con: duckdb.DuckDBPyConnection) -> None:
    [worst] = rows(con, "losses")
    assert worst["customer_id"] == MARKUP
    names = {"customer": MARKUP, "begin": date(2026, 10, 1), "end": date(2026, 10, 31)}
    [(cogs,)] = con.execute(
        "select sum(cost) from cost_ledger join pools using (pool) where class = 'cogs' and BillingCurrency = 'USD'"
        " and customer_id = $customer and day between $begin and $end",
        names,
    ).fetchall()
    assert worst["margin"] == Decimal("0.31") - cogs < 0


def test_kinds_add_up_to_the_ledger_of_each_currency(con: duckdb.DuckDBPyConnection) -> None:
    for currency in ("USD", "EUR"):
        found = {row["kind"]: row["cost"] for row in rows(con, "kinds", BillingCurrency=currency)}
        expected = con.execute(
            f"select kind, sum(cost) from cost_ledger where BillingCurrency = '{currency}' group by 1"
        ).fetchall()
        assert found == dict(expected)
        assert sum(row["share"] for row in rows(con, "kinds", BillingCurrency=currency)) == pytest.approx(1)
