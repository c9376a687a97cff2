"""Budgets land by month and scope, from a table with a row for each month or a column for each."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from farthing.lake.schemas import BUDGETS

LONG = "month,dimension,key,amount,currency\n"
PLAN = "month,name,dimension,key,provider,amount,currency,quantity,unit,rate\n"
WIDE = "dimension,key,currency,2026-10,Nov-26,December 2026,owner\n"


def budgets(world: Any) -> dict[tuple[str, str, str | None], Decimal]:
    return {
        (row["month"].isoformat()[:7], row["dimension"], row["key"]): row["amount"].normalize()
        for row in world.rows(BUDGETS)
    }


def plan(world: Any, *lines: str, header: str = PLAN) -> Any:
    world.write("plan.csv", header + "".join(f"{line}\n" for line in lines))
    return world.one("budgets", "plan.csv")


def test_a_row_is_the_budget_of_a_scope_in_a_month_and_is_named_by_its_scope(world: Any) -> None:
    result = plan(world, "2026-10,team,support,1000.5,USD", "2026-10-31,Total,,7,EUR", header=LONG)
    assert (result.landed, result.rejected, result.form) == (2, 0, "a row per month")
    columns = ("month", "name", "dimension", "key", "amount", "currency", "quantity")
    assert [tuple(row[name] for name in columns) for row in world.rows(BUDGETS, "amount")] == [
        (date(2026, 10, 1), "total", "total", None, Decimal(7), "EUR", None),
        (date(2026, 10, 1), "team support", "team", "support", Decimal("1000.5"), "USD", None),
    ]


def test_each_cell_of_the_wide_table_is_a_budget_and_an_empty_cell_is_none(world: Any) -> None:
    world.write("plan.csv", WIDE + "team,support,USD,100, ,0,ann\nmodel,gpt-5,USD,7.25,3,,bob\n")
    result = world.one("budgets", "plan.csv")
    assert (result.read, result.landed, result.form) == (4, 4, "a column per month")
    assert budgets(world) == {
        ("2026-10", "team", "support"): Decimal(100),
        ("2026-12", "team", "support"): Decimal(0),
        ("2026-10", "model", "gpt-5"): Decimal("7.25"),
        ("2026-11", "model", "gpt-5"): Decimal(3),
    }


def test_a_wide_table_without_dimension_and_currency_takes_them_from_the_source(world: Any) -> None:
    world.write("plan.csv", "Team,2026-10-01\nsupport,100\n")
    source: dict[str, Any] = {"columns": {"key": "Team"}, "constants": {"dimension": "team", "currency": "USD"}}
    assert world.one("budgets", "plan.csv", **source).landed == 1
    assert budgets(world) == {("2026-10", "team", "support"): Decimal(100)}


def test_a_line_of_a_wide_table_that_is_no_row_is_one_reject(world: Any) -> None:
    world.write("plan.csv", WIDE + "team,support,USD,100,1,2,ann\nteam,support\nteam,web,USD,x,1,,bob\n")
    result = world.one("budgets", "plan.csv")
    assert (result.read, result.landed, result.rejected) == (6, 4, 2)
    reasons = [reason for _, reason in world.rejects()]
    assert "the line has 2 fields" in " ".join(reasons)
    assert "'x'" in " ".join(reasons)


def test_a_plan_file_that_changed_replaces_what_it_said_before(world: Any) -> None:
    plan(world, "2026-10,team,support,10,USD", "2026-10,team,web,5,USD", header=LONG)
    plan(world, "2026-10,team,support,11,USD", header=LONG)
    assert budgets(world) == {("2026-10", "team", "support"): Decimal(11)}


def test_an_amount_that_is_not_there_is_quantity_times_rate_to_the_last_digit(world: Any) -> None:
    result = plan(world, "2026-10,gpus,pool,inference,AWS,,USD,123456.5,gpu_hours,2.000000000001")
    assert result.landed == 1
    (row,) = world.rows(BUDGETS)
    assert (row["amount"], row["unit"], row["provider"]) == (Decimal("246913.000000123457"), "GPU hours", "AWS")
    assert result.rounding == {"USD": Decimal("-0.0000000000005")}


def test_lines_of_one_budget_may_have_a_provider_each(world: Any) -> None:
    assert plan(
        world, "2026-10,g,pool,p,AWS,10,USD,5,GPU hours,2", "2026-10,g,pool,p,GCP,0,USD,0,GPU hours,4"
    ).landed == 2  # fmt: skip


REFUSED = {
    "2026-10,,squad,support,,1,USD,,,": "dimension is squad, not one of total, team",
    "2026-10,,team,,,1,USD,,,": "key is missing: which team",
    "2026-10,,total,support,,1,USD,,,": "total has no key, and here is support",
    "2026-10,,user,*,,1,USD,,,": "`*` goes into [[budgets]]",
    "2026-10,,team,support,,1,XYZ,,,": "XYZ is no ISO 4217",
    "2026-10,,team,support,,-1,USD,,,": "amount is negative: -1",
    "2026-10,,team,support,,,USD,5,tokens,": "amount is missing, and so is quantity x rate",
    "2026-10,,team,support,,10,USD,5,,2": "quantity and rate need a unit",
    "2026-10,,team,support,,10,USD,5,furlongs,2": "unit is furlongs, not one of requests",
    "2026-10,,team,support,,10.2,USD,5,tokens,2": "is not quantity x rate, which is 10.000",
    "2026-10,,team,support,,,USD,5.0000001,tokens,2": "has more than 6 decimals",
    "2026-10,,team,support,,,USD,5,tokens,10000000": "decimals, or 7 digits",
    ",,team,support,,1,USD,,,": "month",
}


@pytest.mark.parametrize(("line", "reason"), REFUSED.items(), ids=list(REFUSED.values()))
def test_what_is_no_budget_is_refused_with_the_reason(world: Any, line: str, reason: str) -> None:
    result = plan(world, line, "2026-10,,team,good,,1,USD,,,")
    assert (result.landed, result.rejected) == (1, 1)
    ((_, told),) = world.rejects()
    assert reason in told


def test_an_amount_that_is_rounded_quantity_times_rate_is_taken_as_it_is(world: Any) -> None:
    assert plan(world, "2026-10,,team,support,,10.05,USD,5,tokens,2").landed == 1
    assert budgets(world) == {("2026-10", "team", "support"): Decimal("10.05")}
