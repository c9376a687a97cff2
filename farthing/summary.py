"""What a finance person wants first of a build, on one screen: spend by class, margin, losses, idle."""

from __future__ import annotations

from decimal import Decimal

import duckdb

from farthing.console import Sheet

_LOSERS = 5
_TWELVE = Decimal("1E-12")
_ABOUT = {
    "direct": "requests, and what teams own",
    "shared": "shared pools, by their driver",
    "training": "training and batch jobs",
    "idle": "GPU time that was paid and not used",
    "unobserved": "GPU time without telemetry",
    "unexplained": "busy GPUs or API use that no request or job explains",
    "unpriced": "use of models without a price",
    "unassigned": "charges that no rule, driver or inventory places",
}
#: The last month that is there to its end, and all of them: each month of a period is a row.
_PERIODS = """
    edges as (
        select
            min(day) as first_day,
            cast(date_trunc('month', max(day) + 1) - interval 1 month as date) as last_month
        from user_day
    ),
    periods as (
        select 1 as number, strftime(last_month, '%B %Y') as period, last_month as month
        from edges where last_month >= first_day
        union all
        select distinct 2, 'all', month from pool_month
    )
"""


def summary(con: duckdb.DuckDBPyConnection, currency: str) -> list[Sheet]:
    """Sheets on the last whole month and on all months; margin, units and losses in `currency` only."""
    return [
        _classes(con, currency),
        _margin(con, currency),
        _units(con, currency),
        _losses(con, currency),
        _kinds(con, currency),
    ]


def _classes(con: duckdb.DuckDBPyConnection, currency: str) -> Sheet:
    rows = con.execute(
        f"""
        with {_PERIODS},
        costs as (
            select
                number, period, coalesce(class, 'none') as class, BillingCurrency, sum(ledger_cost) as cost,
                coalesce(sum(provisional_cost), 0) as provisional_cost
            from pool_month inner join periods using (month)
            group by all
        )
        select
            period, class, BillingCurrency, cost, provisional_cost,
            case when provisional_cost <> 0 then cast(provisional_cost as double) / cast(cost as double) else 0 end
        from costs
        order by number, BillingCurrency <> ?, BillingCurrency, cost desc
        """,
        [currency],
    ).fetchall()
    columns = ["period", "class", "BillingCurrency", "cost", "provisional_cost", "provisional_share"]
    return Sheet("classes", columns, rows, title="Spend by class: cogs is what the product costs to run")


def _margin(con: duckdb.DuckDBPyConnection, currency: str) -> Sheet:
    rows = con.execute(
        f"""
        with {_PERIODS},
        margins as (
            select
                number, period, sum(revenue) as revenue, sum(cogs_cost) filter (where revenue is not null) as cogs_cost,
                sum(gross_margin) as gross_margin, sum(operating_margin) as operating_margin
            from margin_month inner join periods using (month)
            where BillingCurrency = ?
            group by number, period
        )
        select
            period, revenue, cogs_cost,
            gross_margin, cast(gross_margin as double) / nullif(cast(revenue as double), 0),
            operating_margin, cast(operating_margin as double) / nullif(cast(revenue as double), 0)
        from margins
        order by number
        """,
        [currency],
    ).fetchall()
    columns = [
        "period", "revenue", "cogs_cost", "gross_margin", "gross_margin_share", "operating_margin",
        "operating_margin_share",
    ]  # fmt: skip
    title = f"Of months with revenue: gross margin (less cogs), operating margin (less everything), {currency}"
    return Sheet("margin", columns, rows, title=title)


def _units(con: duckdb.DuckDBPyConnection, currency: str) -> Sheet:
    rows = con.execute(
        f"""
        with {_PERIODS}
        select period, unit, sum(quantity), sum(cost)
        from unit_costs inner join periods using (month) left join units using (unit)
        where model is null and BillingCurrency = ?
        group by number, period, unit
        order by number, unit in ('request', 'million tokens'), bool_or(units.measure = 'mean') nulls first, unit
        """,
        [currency],
    ).fetchall()
    # DuckDB would divide as floats
    each = [(*row, (row[3] / row[2]).quantize(_TWELVE) if row[2] and row[3] is not None else None) for row in rows]
    columns = ["period", "unit", "quantity", "cogs_cost", "cost_per_unit"]
    return Sheet("units", columns, each, title=f"What one of each unit costs to run ({currency})")


def _losses(con: duckdb.DuckDBPyConnection, currency: str) -> Sheet:
    rows = con.execute(
        """
        select customer_id, sum(revenue) as revenue, sum(cogs_cost) as cost, sum(margin) as margin
        from customer_margin_month where customer_id is not null and BillingCurrency = ?
        group by customer_id having sum(margin) < 0
        order by margin, customer_id limit ?
        """,
        [currency, _LOSERS],
    ).fetchall()
    title = f"Customers who lose most: revenue less the cogs of their use ({currency})"
    return Sheet("losses", ["customer_id", "revenue", "cogs_cost", "margin"], rows, title=title)


def _kinds(con: duckdb.DuckDBPyConnection, currency: str) -> Sheet:
    sums = ", ".join(f"sum({kind}_cost) as {kind}" for kind in _ABOUT)
    rows = con.execute(
        f"""
        with kinds as (
            unpivot (select BillingCurrency, {sums} from team_month group by BillingCurrency)
            on {", ".join(_ABOUT)} into name kind value cost
        )
        select
            BillingCurrency, kind, cost,
            cast(cost as double) / nullif(sum(cast(cost as double)) over (partition by BillingCurrency), 0)
        from kinds
        order by BillingCurrency <> ?, BillingCurrency, abs(cost) desc
        """,
        [currency],
    ).fetchall()
    return Sheet(
        "kinds",
        ["BillingCurrency", "kind", "cost", "share", "what"],
        [(*row, _ABOUT[row[1]]) for row in rows],
        title="What the money was spent on",
    )
