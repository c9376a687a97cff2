"""What a finance person wants first of a build, on one screen: spend by class, margin, losses, idle."""

from __future__ import annotations

import duckdb

from farthing.console import Sheet

_LOSERS = 5
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
#: The last month that the ledger has to its end, and all of it: period, first day, day after the last one.
_PERIODS = """
    edges as (
        select min(day) as first_day, max(day) + 1 as past, cast(date_trunc('month', max(day) + 1) as date) as month_end
        from cost_ledger
    ),
    periods as (
        select
            1 as number, strftime(month_end - interval 1 month, '%B %Y') as period,
            cast(month_end - interval 1 month as date) as begin, month_end as past
        from edges where month_end - interval 1 month >= first_day
        union all
        select 2, 'all', first_day, past from edges
    ),
    costs as (
        select number, period, coalesce(pools.class, 'none') as class, BillingCurrency, cost_ledger.cost, provisional
        from cost_ledger
        inner join periods on cost_ledger.day >= periods.begin and cost_ledger.day < periods.past
        left join pools on cost_ledger.pool = pools.pool
    )
"""


def summary(con: duckdb.DuckDBPyConnection, currency: str) -> list[Sheet]:
    """Sheets on the last full month and on all of the ledger; margin and losses in `currency` only."""
    return [_classes(con, currency), _margin(con, currency), _losses(con, currency), _kinds(con, currency)]


def _classes(con: duckdb.DuckDBPyConnection, currency: str) -> Sheet:
    rows = con.execute(
        f"""
        with {_PERIODS}
        select period, class, BillingCurrency, sum(cost), coalesce(sum(cost) filter (where provisional), 0)
        from costs group by number, period, class, BillingCurrency
        order by number, BillingCurrency <> ?, BillingCurrency, sum(cost) desc
        """,
        [currency],
    ).fetchall()
    columns = ["period", "class", "BillingCurrency", "cost", "provisional_cost"]
    return Sheet("classes", columns, rows, title="Spend by class: cogs is what the product costs to run")


def _margin(con: duckdb.DuckDBPyConnection, currency: str) -> Sheet:
    rows = con.execute(
        f"""
        with {_PERIODS},
        spent as (
            select number, coalesce(sum(cost) filter (where class = 'cogs'), 0) as cogs_cost, sum(cost) as cost
            from costs where BillingCurrency = ? group by number
        ),
        paid as (
            select number, sum(amount) as revenue from revenue
            inner join periods on revenue.period >= periods.begin and revenue.period < periods.past
            where currency = ? group by number
        ),
        solved as (
            select number, cast(sum(quantity) as bigint) as tickets from metrics
            inner join periods on metrics.day >= periods.begin and metrics.day < periods.past
            where name = 'tickets_solved' group by number
        )
        select
            period, revenue, cogs_cost, revenue - cogs_cost, cast(revenue - cogs_cost as double) / revenue,
            revenue - cost, cast(revenue - cost as double) / revenue, tickets,
            cast(cogs_cost / tickets as decimal(38, 12))
        from periods inner join spent using (number) left join paid using (number) left join solved using (number)
        order by number
        """,
        [currency, currency],
    ).fetchall()
    columns = [
        "period", "revenue", "cogs_cost", "gross_margin", "gross_margin_share", "margin", "margin_share", "tickets",
        "cost_per_ticket",
    ]  # fmt: skip
    title = f"Gross margin (revenue less cogs), margin after everything, cogs per ticket ({currency})"
    return Sheet("margin", columns, rows, title=title)


def _losses(con: duckdb.DuckDBPyConnection, currency: str) -> Sheet:
    rows = con.execute(
        """
        with spent as (
            select customer_id, sum(cost_ledger.cost) as cost from cost_ledger
            inner join pools on cost_ledger.pool = pools.pool
            where customer_id is not null and class = 'cogs' and BillingCurrency = ? group by customer_id
        ),
        paid as (
            select customer_id, sum(amount) as revenue from revenue where currency = ? group by customer_id
        )
        select customer_id, revenue, cost, revenue - cost as margin
        from paid inner join spent using (customer_id) where revenue < cost order by margin, customer_id limit ?
        """,
        [currency, currency, _LOSERS],
    ).fetchall()
    title = f"Customers who lose most: revenue less the cogs of their use ({currency})"
    return Sheet("losses", ["customer_id", "revenue", "cogs_cost", "margin"], rows, title=title)


def _kinds(con: duckdb.DuckDBPyConnection, currency: str) -> Sheet:
    rows = con.execute(
        """
        with kinds as (
            select
                BillingCurrency, kind, sum(cost) as cost,
                coalesce(sum(cost) filter (where provisional), 0) as provisional
            from cost_ledger group by all
        ),
        totals as (
            select BillingCurrency, sum(cost) as total from cost_ledger group by all
        )
        select
            BillingCurrency, kind, cost, cast(cost as double) / nullif(cast(total as double), 0),
            cast(provisional as double) / nullif(cast(cost as double), 0)
        from kinds inner join totals using (BillingCurrency)
        order by BillingCurrency <> ?, BillingCurrency, abs(cost) desc
        """,
        [currency],
    ).fetchall()
    return Sheet(
        "kinds",
        ["BillingCurrency", "kind", "cost", "share", "provisional_share", "what"],
        [(*row, _ABOUT[row[1]]) for row in rows],
        title="What the money was spent on",
    )
