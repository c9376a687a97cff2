"""The panel of a project: what each payer costs and pays by month, from the published warehouse."""

from __future__ import annotations

from calendar import monthrange
from datetime import date
from decimal import Decimal

import duckdb
import polars as pl

from farthing.config import Config
from farthing.errors import ConfigError
from farthing.tiers import panel
from farthing.tiers.panel import NO_PLAN, TODAY, Read
from farthing.tiers.spec import Spec
from models.pricing.plans import Plan

#: Who pays, and what the credits took off, are as `farthing margin` has them: one mart.
_COSTS = """
select
    month,
    payer as user,
    cast(sum(cogs_cost + case when $before_credits then 0 else coalesce(credits, 0) end) as double) as cost
from margin_lines
where BillingCurrency = $currency and cogs_cost is not null
group by all
having cost <> 0
order by all
"""
_REVENUE = """
select
    cast(date_trunc('month', period) as date) as month,
    coalesce(user_id, customer_id) as user,
    string_agg(distinct coalesce(plan, $no_plan), ' + ' order by coalesce(plan, $no_plan)) as plan,
    sum(amount) as amount
from revenue
where currency = $currency
group by all
order by all
"""
_UNITS = """
select model, unit, cost_per_unit from unit_costs
where BillingCurrency = $currency and model is not null and unit in ('request', 'million tokens')
qualify month = max(month) over (partition by model, unit)
order by all
"""


def read(
    con: duckdb.DuckDBPyConnection, config: Config, spec: Spec, currency: str | None, *, before_credits: bool = True
) -> tuple[Read, dict[str, dict[str, Decimal]]]:
    """The panel, with plans and prices of today from the revenue, and the unit costs of each model.

    Months that are not over are left out. A payer who cost nothing in a month is there with zero.

    Raises:
        ConfigError: no month is over, or no cost of class cogs is in the currency.
    """
    chosen = currency or config.project.currency
    given: dict[str, object] = {"currency": chosen}
    costs = _frame(con, _COSTS, given | {"before_credits": before_credits})
    income = _frame(con, _REVENUE, given | {"no_plan": NO_PLAN})
    [(first, last)] = con.execute("select min(day), max(day) from cost_ledger").fetchall()
    months = [month for month in costs["month"].unique().sort() if _whole(month, first, last)]
    if not months:
        raise ConfigError(
            f"no whole month of the ledger has costs of class cogs in {chosen}.",
            file=config.warehouse_path,
            fix="collect and build three months at least, or choose another --currency.",
        )
    costs = costs.filter(pl.col("month").is_in(months))
    notes = [
        f"months from {months[0]:%Y-%m} to {months[-1]:%Y-%m} of the ledger, class cogs, in {chosen}"
        + (", before promotional credits" if before_credits else ", after promotional credits")
    ]
    [(others,)] = con.execute(
        "select count(distinct BillingCurrency) from cost_ledger where BillingCurrency <> $currency", given
    ).fetchall()
    if others:
        notes.append(f"costs in other currencies ({others}) are left out: they are never added")
    frame, prices = _with_plans(costs, income.filter(pl.col("month").is_in(months)), notes)
    found = panel.read(frame, spec, chosen, file=config.warehouse_path, notes=notes, prices=prices)
    units: dict[str, dict[str, Decimal]] = {}
    for model, unit, cost in con.execute(_UNITS, given).fetchall():
        if cost is not None and cost > 0:
            units.setdefault(model, {})["request" if unit == "request" else "million_tokens"] = cost
    return found, units


def _frame(con: duckdb.DuckDBPyConnection, query: str, given: dict[str, object]) -> pl.DataFrame:
    found = pl.from_arrow(con.sql(query, params=given).to_arrow_table())
    assert isinstance(found, pl.DataFrame)
    return found


def _whole(month: date, first: date, last: date) -> bool:
    end = month.replace(day=monthrange(month.year, month.month)[1])
    return first <= month and last >= end


def _with_plans(costs: pl.DataFrame, income: pl.DataFrame, notes: list[str]) -> tuple[pl.DataFrame, dict[str, Plan]]:
    """Costs with the plan of each payer, and for each plan the price that most of its payers pay in the last month."""
    if income.is_empty():
        notes.append(f"no revenue is known: everybody is taken to be on one plan, '{TODAY}'")
        return costs, {}
    joined = costs.join(income.drop("amount"), on=["month", "user"], how="full", coalesce=True)
    nobody = joined["user"].is_null()
    free = joined.filter(~nobody & pl.col("plan").is_null())
    if not free.is_empty():
        notes.append(
            f"{free['user'].n_unique():,} users and customers without revenue are '{NO_PLAN}', at the price 0,"
            " and stay so"
        )
    latest = income.filter(pl.col("month") == income["month"].max())
    prices = latest.group_by("plan").agg(pl.col("amount").cast(pl.Float64).median()).sort("plan")
    plans = {name: Plan(name, float(price)) for name, price in prices.iter_rows()}
    for name in sorted(set(income["plan"]) - set(plans)):
        amounts = income.filter(pl.col("plan") == name)["amount"].cast(pl.Float64)
        plans[name] = Plan(name, float(amounts.to_numpy().mean()))
        notes.append(f"the plan '{name}' has no revenue in the last month: its price is its mean before")
    booked, modelled = 0.0, 0.0
    for name, amount in income.select("plan", pl.col("amount").cast(pl.Float64)).iter_rows():
        booked, modelled = booked + amount, modelled + plans[name].fee
    if booked:
        notes.append(f"plans at their median price make {100 * modelled / booked:.1f} % of the revenue that was booked")
    plan = pl.when(pl.col("user").is_null()).then(pl.lit(NO_PLAN)).otherwise(pl.col("plan").fill_null(NO_PLAN))
    return joined.select("month", "user", pl.col("cost").fill_null(0.0), plan=plan), plans
