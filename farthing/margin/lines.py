"""What the warehouse says of a month's margin: the whole, its lines by one dimension, its whales, its tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Any

import duckdb

from farthing.errors import ConfigError
from models.margin_interval import Spread, spread

Row = dict[str, Any]
#: Where the curve of whales is read: so many percent of the payers, dearest (or most profitable) first.
STEPS = (1, 2, 5, 10, 20, 50, 100)


class By(StrEnum):
    """What the lines of a month are summed by."""

    PAYER = "payer"
    USER = "user"
    CUSTOMER = "customer"
    PLAN = "plan"
    COHORT = "cohort"
    MODEL = "model"
    FEATURE = "feature"
    MONTH = "month"


_KEYS: Mapping[By, Sequence[str]] = {
    By.PAYER: ("payer_kind", "payer"),
    By.USER: ("user_id", "case when user_id is null then customer_id end as customer_id"),
    By.CUSTOMER: ("customer_id",),
    By.PLAN: ("plan",),
    By.COHORT: ("cohort",),
    By.MODEL: ("model",),
    By.FEATURE: ("feature",),
    By.MONTH: ("month",),
}
#: Revenue is of no model and no feature: it is shared there.
_SHARED = frozenset({By.MODEL, By.FEATURE})

_SUMS = """
    sum({revenue}) as revenue,
    coalesce(sum(cogs_cost), 0) as cogs_cost,
    sum(credits) as credits,
    sum(provisional_cost) as provisional_cost,
    sum(estimated_cost) as estimated_cost,
    sum(unsure_cost) as unsure_cost,
    count(distinct (payer_kind, payer)) filter (where payer is not null) as payers,
    count(distinct (payer_kind, payer)) filter (where payer is not null and not pays) as free_payers,
    sum(cogs_cost) filter (where payer is not null and not pays) as free_cost
"""
_ROWS = """
select {keys}, any_value(plan) as of_plan, bool_or(pays) as pays, {sums}
from margin_lines
where ($month is null or month = $month) and BillingCurrency = $currency
group by {group}
order by cogs_cost desc, {group}
"""
_PAYERS = """
select payer_kind, payer, bool_or(pays) as pays, sum(revenue) as revenue, coalesce(sum(cogs_cost), 0) as cogs_cost
from margin_lines
where month = $month and BillingCurrency = $currency and payer is not null
group by all
"""
_WHOLE = """
select
    {sums},
    sum(cogs_cost) filter (where payer is null) as nobodys_cost
from margin_lines
where month = $month and BillingCurrency = $currency
"""
_LOSERS = f"""
with payers as ({_PAYERS})
select
    count(*) filter (where revenue < cogs_cost) as losing_payers,
    sum(cogs_cost) filter (where revenue < cogs_cost) as losing_cost,
    sum(revenue - cogs_cost) filter (where revenue < cogs_cost) as lost,
    count(*) filter (where revenue is not null and cogs_cost = 0) as payers_without_cost,
    sum(revenue) filter (where revenue is not null and cogs_cost = 0) as revenue_without_cost
from payers
"""
_WHALES = f"""
with payers as ({_PAYERS}),
ordered as (
    select
        *,
        row_number() over (order by cogs_cost desc, payer_kind, payer) as by_cost,
        sum(cogs_cost) over (order by cogs_cost desc, payer_kind, payer rows unbounded preceding) as cost_so_far,
        row_number() over (order by margin desc, payer_kind, payer) as by_margin,
        sum(margin) over (order by margin desc, payer_kind, payer rows unbounded preceding) as margin_so_far,
        sum(margin) over (order by cogs_cost desc, payer_kind, payer rows unbounded preceding) as their_margin,
        count(*) over () as payers,
        sum(cogs_cost) over () as cost,
        sum(margin) over () as margin_of_all
    from (select *, coalesce(revenue, 0) - cogs_cost as margin from payers)
),
steps as (select unnest($steps::integer[]) as percent)
select
    steps.percent,
    dear.by_cost as payers,
    dear.cost_so_far as cost,
    cast(dear.cost_so_far as double) / nullif(cast(dear.cost as double), 0) as cost_share,
    dear.their_margin as margin_of_these,
    good.margin_so_far as margin_of_the_best,
    cast(good.margin_so_far as double) / nullif(cast(good.margin_of_all as double), 0) as best_margin_share
from steps
inner join ordered as dear on dear.by_cost = greatest(1, ceil(steps.percent * dear.payers / 100))
inner join ordered as good on good.by_margin = dear.by_cost
order by all
"""
_SHARES = """
select month, sum(revenue) as revenue, sum(cogs_cost) as cogs_cost
from margin_lines
where BillingCurrency = $currency and month <= $month
group by month
having sum(revenue) > 0 and sum(cogs_cost) > 0
order by month
"""
_TASKS = "select * from task_month where month = $month and BillingCurrency = $currency"
_CURRENCIES = """
select BillingCurrency from margin_lines
where month = $month
group by all
order by coalesce(sum(cogs_cost), 0) desc, BillingCurrency
"""
_MONTHS = """
select month from margin_lines
group by month
having coalesce(sum(cogs_cost), 0) <> 0 or coalesce(sum(revenue), 0) <> 0
order by month
"""


def months(con: duckdb.DuckDBPyConnection) -> tuple[list[date], list[date], date]:
    """The months that have cost or revenue, those of them that the ledger covers whole, and its last day.

    Raises:
        ConfigError: there is neither revenue nor cost of class cogs.
    """
    found = [month for (month,) in con.execute(_MONTHS).fetchall()]
    [(first, last)] = con.execute("select min(day), max(day) from cost_ledger").fetchall()
    if not found or last is None:
        raise ConfigError(
            "the warehouse has neither revenue nor a cost of class cogs.",
            key="pools",
            fix='give a pool class = "cogs", collect revenue, then build.',
        )
    return found, [month for month in found if first <= month and _end(month) <= last], last


def currencies(con: duckdb.DuckDBPyConnection, month: date) -> list[str]:
    """Those of the month's cost and revenue, the one with the most cost first."""
    return [currency for (currency,) in con.execute(_CURRENCIES, {"month": month}).fetchall()]


def spread_of(con: duckdb.DuckDBPyConnection, month: date, currency: str, whole: Sequence[date]) -> Spread | None:
    """What whole months up to `month` say of how far margins move."""
    rows = con.execute(_SHARES, {"month": month, "currency": currency}).fetchall()
    return spread([float(cost / revenue) for at, revenue, cost in rows if at in whole])


def whole_month(con: duckdb.DuckDBPyConnection, month: date, currency: str, sure: Spread | None) -> Row:
    """The month in one row: revenue, cost, margin with interval, credits apart, who loses, who pays nothing."""
    given = {"month": month, "currency": currency}
    [row] = _rows(con, _WHOLE.format(sums=_SUMS.format(revenue="revenue")), given)
    row |= _rows(con, _LOSERS, given)[0]
    # an estimated division moves cost between lines and leaves their sum
    return (
        {"month": month, "currency": currency}
        | _with_margin(row, sure, row["provisional_cost"])
        | {
            "losing_cost_share": share(row["losing_cost"], row["cogs_cost"]),
            "free_cost_share": share(row["free_cost"], row["cogs_cost"]),
            "next_low_margin_share": sure.low if sure else None,
            "next_high_margin_share": sure.high if sure else None,
        }
    )


def lines(con: duckdb.DuckDBPyConnection, by: By, month: date, currency: str, sure: Spread | None) -> list[Row]:
    """The month by `by` (every month where it is the month), dearest first; nobody's line is there with null as key."""
    keys = _KEYS[by]
    names = [key.rpartition(" ")[2] for key in keys]
    query = _ROWS.format(
        keys=", ".join(keys),
        group=", ".join(names) if by is not By.USER else "user_id, case when user_id is null then customer_id end",
        sums=_SUMS.format(revenue="revenue_by_cost" if by in _SHARED else "revenue"),
    )
    given = {"month": None if by is By.MONTH else month, "currency": currency}
    rows = _rows(con, query, given)
    cost = sum((row["cogs_cost"] for row in rows), Decimal(0))
    found = []
    for row in rows:
        unsure = row["provisional_cost"] if by is By.MONTH else row["unsure_cost"]
        filled = _with_margin(row, sure, unsure)
        filled["cost_share"] = share(row["cogs_cost"], cost)
        filled["finding"] = _finding(filled, by, any(row[name] is not None for name in names))
        found.append({name: row[name] for name in names} | filled)
    return sorted(found, key=lambda row: row["month"]) if by is By.MONTH else found


def whales(con: duckdb.DuckDBPyConnection, month: date, currency: str) -> list[Row]:
    """How much of cost the dearest payers are, and of margin the most profitable ones, at each of `STEPS`."""
    return _rows(con, _WHALES, {"month": month, "currency": currency, "steps": list(STEPS)})


def tasks(con: duckdb.DuckDBPyConnection, month: date, currency: str) -> list[Row]:
    """The row of `task_month`, if tasks began in the month."""
    return _rows(con, _TASKS, {"month": month, "currency": currency})


def share(part: Decimal | None, whole: Decimal | None) -> float | None:
    """`part` of `whole`; None where one is not known or the whole is nothing."""
    return float(part / whole) if part is not None and whole else None


def _with_margin(row: Row, sure: Spread | None, unsure: Decimal | None) -> Row:
    """`row` with margins before and after credits, and where the margin lies once all is billed: nine times in ten."""
    revenue, cost = row["revenue"], row["cogs_cost"]
    margin = None if revenue is None else revenue - cost
    after = None if margin is None else margin - (row["credits"] or 0)
    ends: tuple[Decimal | None, Decimal | None] = (margin, margin)
    if margin is not None and unsure:
        ends = (None, None)
        if sure is not None:
            more = unsure * (Decimal(sure.factor) - 1)
            less = unsure * (1 - 1 / Decimal(sure.factor))
            ends = (_money(margin - more), _money(margin + less))
    return row | {
        "margin": margin,
        "margin_low": ends[0],
        "margin_high": ends[1],
        "margin_share": share(margin, revenue),
        "margin_after_credits": after,
    }


def _money(value: Decimal) -> Decimal:
    return value.quantize(Decimal("1e-12"))


def _finding(row: Row, by: By, named: bool) -> str | None:
    """What is to be said of a line, beside its figures."""
    if by not in {By.PAYER, By.USER, By.CUSTOMER}:
        return "loses" if row["margin"] is not None and row["margin"] < 0 else None
    if not named:
        return "nobody's"
    if row["revenue"] is None:
        return "paid by another" if row["pays"] else "no revenue"
    if not row["cogs_cost"]:
        return "no cost"
    return "loses" if row["margin"] < 0 else None


def _rows(con: duckdb.DuckDBPyConnection, query: str, given: Mapping[str, object]) -> list[Row]:
    cursor = con.execute(query, {name: value for name, value in given.items() if f"${name}" in query})
    columns = [column[0] for column in cursor.description or []]
    return [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]


def _end(month: date) -> date:
    following = date(month.year + month.month // 12, month.month % 12 + 1, 1)
    return date.fromordinal(following.toordinal() - 1)
