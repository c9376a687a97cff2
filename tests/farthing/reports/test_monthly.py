"""Every figure of the monthly report, held against SQL on the same warehouse."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from farthing import config as configuration
from farthing.reports import NoSuchPeriodError, monthly
from farthing.reports.document import Report, Row, Section
from farthing.warehouse import open_warehouse
from tests.farthing.build.world import World
from tests.farthing.reports.conftest import FORMULA, MARKUP, publish

Make = Callable[..., Report]
Con = duckdb.DuckDBPyConnection
OCTOBER = "day between date '2026-10-01' and date '2026-10-31' and BillingCurrency = 'USD'"


def section(report: Report, name: str) -> Section:
    [found] = [section for section in report.sections if section.name == name]
    return found


def rows(report: Report, table: str) -> list[Row]:
    [found] = [one for one in report.tables() if one.name == table]
    return list(found.rows)


def figure(report: Report, name: str) -> Any:
    [found] = [row["value"] for row in rows(report, "headline") if row["figure"] == name]
    return found


def ask(con: Con, sql: str) -> Any:
    [(value,)] = con.execute(sql).fetchall()
    return value


@pytest.mark.slow
def test_the_default_month_is_the_last_that_is_over(report: Make) -> None:
    assert report(None).period == "2026-10"
    assert (report().first, report().last) == (date(2026, 10, 1), date(2026, 10, 31))
    assert report().notes == []


@pytest.mark.slow
def test_spend_is_what_the_ledger_says_of_the_month_and_currency(report: Make, warehouse: Con) -> None:
    cost = ask(warehouse, f"select sum(cost) from cost_ledger where {OCTOBER}")
    assert cost > 0
    made = report()
    assert figure(made, "spend") == cost
    for table in ("spend_by_class", "spend_by_kind", "spend_by_day", "pools", "teams", "models", "customers"):
        assert sum(row["cost"] for row in rows(made, table) if row["cost"] is not None) == cost, table


def test_without_a_reporting_currency_no_currency_is_converted(report: Make, warehouse: Con) -> None:
    assert not [one for one in report().sections if one.name == "reporting_currency"]
    assert ask(warehouse, "select count(*) from reporting_day") == 0


def test_gross_margin_is_revenue_less_serving_and_never_research(report: Make, warehouse: Con) -> None:
    serving = ask(
        warehouse, f"select sum(cost) from cost_ledger join pools using (pool) where {OCTOBER} and class = 'cogs'"
    )
    revenue = Decimal("311.31")
    made = report()
    assert figure(made, "revenue") == revenue
    assert figure(made, "gross_margin") == revenue - serving
    steps = {row["step"]: row["amount"] for row in rows(made, "margin")}
    assert steps["less rnd (training, research)"] == -4
    assert steps["left"] == revenue - figure(made, "spend")
    assert sum(amount for step, amount in steps.items() if step not in {"gross margin", "left"}) == steps["left"]


def test_idle_cost_is_that_of_the_ledger_and_of_the_gpus(report: Make, warehouse: Con) -> None:
    idle = ask(warehouse, f"select sum(cost) from cost_ledger where {OCTOBER} and kind = 'idle'")
    assert idle == Decimal("6.3")
    made = report()
    assert figure(made, "idle") == idle
    [node] = rows(made, "gpu_nodes")
    assert (node["idle_cost"], node["gpu_hours"], node["busy_share"]) == (idle, 2, Decimal("0.25"))
    assert "75.0 % paid for idle time" in section(made, "gpus").heading


def test_a_unit_costs_serving_by_what_was_counted(report: Make, warehouse: Con) -> None:
    made = report()
    serving = figure(made, "revenue") - figure(made, "gross_margin")
    tokens = ask(warehouse, "select sum(input_tokens + output_tokens) from usage_days where month(day) = 10")
    units = {row["unit"]: row for row in rows(made, "unit_costs")}
    assert list(units) == ["ticket", "million tokens", "request"]
    assert units["ticket"]["quantity"] == 7 * 3 + 7 * 4
    assert units["ticket"]["cost_per_unit"] == figure(made, "cost_per_unit")
    whole = {"ticket": Decimal(49), "request": Decimal(38), "million tokens": tokens / Decimal(1_000_000)}
    for unit, quantity in whole.items():
        assert abs(units[unit]["cost_per_unit"] - serving / quantity) < Decimal("1E-12"), unit
    assert section(made, "headline").figures[4].label == "Per ticket"


@pytest.mark.slow
@pytest.mark.parametrize(("measure", "quantity"), [("mean", 3), ("sum", 6)])
def test_a_metric_that_is_a_unit_counts_as_the_unit_says(tmp_path: Path, measure: str, quantity: int) -> None:
    """3 + 1 on the 1st and 2 on the 3rd of October; 60 of serving."""
    world = World(units={"shelf": {"metric": "shelves", "measure": measure}})
    world.charge(60)
    for key, number, day in (("a", 3, 1), ("b", 1, 1), ("a", 2, 3)):
        world.metric("shelves", "customer", key, number, date(2026, 10, day))
    config = configuration.load(publish(world, tmp_path / "company"))
    with open_warehouse(config) as con:
        [row] = [row for row in rows(monthly(con, config, date(2026, 10, 1)), "unit_costs") if row["unit"] == "shelf"]
    assert (row["quantity"], row["cost_per_unit"]) == (quantity, Decimal(60) / quantity)


def test_the_change_is_against_the_whole_month_before(report: Make, warehouse: Con) -> None:
    change = ask(
        warehouse,
        "select sum(case when month(day) = 10 then cost else -cost end) from cost_ledger"
        " where month(day) in (9, 10) and BillingCurrency = 'USD'",
    )
    assert change == 4  # the vendor's bill alone moved: 3 + 4 less 1 + 2
    moved = rows(report(), "changes")
    assert sum(row["change"] for row in moved) == change
    assert section(report(), "changes").heading == "4.00 USD more than in the month before"
    assert not any(row["name"] == "lab" for row in moved)


def test_the_first_month_of_the_ledger_has_nothing_to_be_compared_with(report: Make) -> None:
    assert section(report(date(2026, 9, 1)), "changes").heading == "There is nothing to compare with"


def test_customers_past_the_fifteenth_are_one_line(report: Make) -> None:
    shown = rows(report(), "customers")
    assert shown[0]["customer_id"] is None
    assert [row["customer_id"] for row in shown[1:]][-1] == "3 others"
    assert len(shown) == 1 + 15 + 1
    assert shown[-1]["cost"] > 0
    # of these three one pays: what they pay together is not known
    assert (shown[-1]["revenue"], shown[-1]["margin"]) == (None, None)


def test_who_costs_more_than_he_pays_is_named_first(report: Make, warehouse: Con) -> None:
    spent = dict(
        warehouse.execute(
            f"select customer_id, sum(cost) from cost_ledger join pools using (pool) where {OCTOBER} and class = 'cogs'"
            " group by all"
        ).fetchall()
    )
    made = report()
    margins = {row["customer_id"]: row["margin"] for row in rows(made, "customers") if row["margin"] is not None}
    assert margins == {"acme": 310 - spent["acme"], MARKUP: Decimal("0.31") - spent[MARKUP]}
    assert margins[MARKUP] < 0 < margins["acme"]
    assert [row["customer_id"] for row in rows(made, "losses")] == [MARKUP]
    assert section(made, "margin").heading.startswith("1 of 3 paying customers costs more than he pays; <script>")


def test_a_customer_without_revenue_has_no_margin(report: Make) -> None:
    [formula] = [row for row in rows(report(), "customers") if row["customer_id"] == FORMULA]
    assert formula["cost"] > 0
    assert (formula["revenue"], formula["margin"]) == (None, None)
    assert "their margin is not known" in section(report(), "margin").said[0]


def test_tasks_have_the_spread_of_the_mart(report: Make, warehouse: Con) -> None:
    expected = warehouse.execute(
        "select count(*), quantile_disc(cost, 0.5), quantile_disc(cost, 0.95), quantile_disc(cost, 0.99), max(cost)"
        " from trace_costs where month(started_at) = 10 and BillingCurrency = 'USD'"
    ).fetchone()
    [spread] = rows(report(), "task_costs")
    assert tuple(spread[name] for name in ("tasks", "p50", "p95", "p99", "dearest")) == expected
    assert spread["tasks"] == 18


def test_a_team_has_the_cost_center_of_the_configuration(report: Make) -> None:
    serving = next(row for row in rows(report(), "teams") if row["team_id"] == "serving")
    assert (serving["cost_center"], serving["department"]) == ("CC-1", "Product/Serving")
    assert "research" in section(report(), "teams").said[0]  # the team without one


def test_other_currencies_stand_apart_and_are_never_added(report: Make, warehouse: Con) -> None:
    [euro] = rows(report(), "other_currencies")
    assert (euro["BillingCurrency"], euro["cost"], euro["revenue"]) == ("EUR", Decimal("0.14"), Decimal(31))
    assert {row["BillingCurrency"] for row in rows(report(), "reconciliation")} == {"USD", "EUR"}


def test_each_invoice_of_the_month_is_a_line_that_ties(report: Make, warehouse: Con) -> None:
    found = {(row["InvoiceId"], row["BillingCurrency"]): row for row in rows(report(), "reconciliation")}
    assert set(found) == {("2026-10", "USD"), ("2026-10", "EUR")}
    landed = ask(warehouse, "select sum(x_cost) from charges where InvoiceId = '2026-10' and BillingCurrency = 'USD'")
    row = found["2026-10", "USD"]
    assert (row["landed_cost"], row["ledger_cost"], row["difference"]) == (landed, landed, 0)


def test_the_walk_from_the_bills_to_the_ledger_is_that_of_the_mart(report: Make, warehouse: Con) -> None:
    walk = {row["cause"]: row["amount"] for row in rows(report(), "reconciliation_causes")}
    expected = warehouse.execute(
        "select cause, sum(amount) from reconciliation_causes where month = date '2026-10-01'"
        " and BillingCurrency = 'USD' group by all"
    ).fetchall()
    assert walk == dict(expected)
    assert walk["ledger"] == ask(warehouse, f"select sum(cost) from cost_ledger where {OCTOBER}")


def test_matched_shares_are_those_of_data_quality(report: Make, warehouse: Con) -> None:
    expected = warehouse.execute(
        "select subject, measure, sum(matched) / sum(total) from data_quality"
        " where month(day) = 10 and unit in ('count', 'seconds', 'USD') group by all having sum(total) <> 0"
    ).fetchall()
    shown = {(row["subject"], row["measure"]): float(row["share"]) for row in rows(report(), "data_quality")}
    assert shown == pytest.approx({(subject, measure): float(share) for subject, measure, share in expected})


def test_an_open_month_says_so_and_takes_only_its_days(report: Make) -> None:
    made = report(date(2026, 11, 1))
    assert made.last == date(2026, 11, 1)
    assert "not whole" in made.notes[0]
    assert figure(made, "revenue") == 10  # a thirtieth of what is paid for November
    assert section(made, "changes").said == ["November 2026 is not over yet."]


def test_a_month_without_cost_is_named_with_those_that_there_are(report: Make) -> None:
    with pytest.raises(NoSuchPeriodError, match=r"no cost in 2026-08.*2026-09 to 2026-11"):
        report(date(2026, 8, 1))


@pytest.mark.slow
def test_what_is_missing_is_said_in_words_and_never_a_zero(tmp_path: Path) -> None:
    world = World({"name": "rent", "kind": "shared", "driver": "users", "match": {"ProviderName": "AWS"}})
    world.charge("5", datetime(2026, 10, 3, tzinfo=UTC), resource=None)
    folder = publish(world, tmp_path)
    config = configuration.load(folder)
    with open_warehouse(config) as con:
        made = monthly(con, config)
    headings = {one.name: one.heading for one in made.sections}
    assert headings["headline"] == "5.00 USD were spent"
    assert headings["margin"] == "Margin is not known without revenue"
    assert headings["gpus"] == "No GPU was paid in USD"
    assert headings["tasks"] == "No task with a cost in USD began on these days"
    assert headings["units"] == "No unit is counted"
    assert headings["customers"] == "No cost has a customer"
    assert "training" not in headings
    shown = {one.name: one.shown for one in section(made, "headline").figures}
    assert {shown[name] for name in ("revenue", "gross_margin", "gross_margin_share", "cost_per_unit")} == {"not known"}
    assert "whole" in made.notes[0]  # the ledger begins on the third
