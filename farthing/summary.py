"""What a build found, on one screen: users, models, what nobody used, and the difference to the bill."""

from __future__ import annotations

import duckdb

from farthing.console import Sheet

_TOP = 10
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


def summary(con: duckdb.DuckDBPyConnection, currency: str) -> list[Sheet]:
    """Sheets on all of the ledger; users and models in `currency` only, what was spent on in every one."""
    return [_users(con, currency), _spread(con, currency), _models(con, currency), _kinds(con, currency)]


def _users(con: duckdb.DuckDBPyConnection, currency: str) -> Sheet:
    rows = con.execute(
        """
        with costs as (
            select user_id, min(customer_id) as customer_id, sum(cost) filter (where kind = 'direct') as direct_cost,
                sum(cost) filter (where kind = 'training') as training_cost,
                sum(cost) filter (where kind not in ('direct', 'training')) as other_cost, sum(cost) as cost
            from cost_ledger where user_id is not null and BillingCurrency = ? group by user_id
        ),
        usage as (
            select user_id, cast(sum(requests) as bigint) as requests,
                cast(sum(input_tokens + output_tokens) as bigint) as tokens
            from usage_days group by user_id
        )
        select costs.user_id, customer_id, requests, tokens, direct_cost, training_cost, other_cost, costs.cost
        from costs left join usage on costs.user_id = usage.user_id order by cost desc, costs.user_id limit ?
        """,
        [currency, _TOP],
    ).fetchall()
    columns = ["user_id", "customer_id", "requests", "tokens", "direct_cost", "training_cost", "other_cost", "cost"]
    return Sheet("users", columns, rows, title=f"Users who cost most ({currency})")


def _spread(con: duckdb.DuckDBPyConnection, currency: str) -> Sheet:
    rows = con.execute(
        """
        select count(*), quantile_disc(cost, 0.5), quantile_disc(cost, 0.95), max(cost), sum(cost) from (
            select sum(cost) as cost from cost_ledger where user_id is not null and BillingCurrency = ? group by user_id
        )
        """,
        [currency],
    ).fetchall()
    return Sheet("spread", ["users", "median", "p95", "max", "sum"], rows, title=f"What a user costs ({currency})")


def _models(con: duckdb.DuckDBPyConnection, currency: str) -> Sheet:
    rows = con.execute(
        """
        with costs as (
            select model, max(provider) as provider, sum(cost) filter (where kind = 'direct') as direct_cost,
                sum(cost) filter (where kind = 'idle') as idle_cost,
                sum(cost) filter (where kind not in ('direct', 'idle')) as other_cost, sum(cost) as cost
            from cost_ledger where model is not null and kind <> 'training' and BillingCurrency = ? group by model
        ),
        usage as (
            select model, cast(sum(requests) as bigint) as requests from usage_days group by model
        )
        select costs.model, provider, requests, direct_cost, idle_cost, other_cost, cost
        from costs left join usage on costs.model = usage.model order by cost desc, costs.model limit ?
        """,
        [currency, _TOP],
    ).fetchall()
    columns = ["model", "provider", "requests", "direct_cost", "idle_cost", "other_cost", "cost"]
    return Sheet("models", columns, rows, title=f"Models ({currency})")


def _kinds(con: duckdb.DuckDBPyConnection, currency: str) -> Sheet:
    rows = con.execute(
        """
        with kinds as (
            select BillingCurrency, kind, sum(cost) as cost from cost_ledger group by all
        ),
        totals as (
            select BillingCurrency, sum(cost) as total from cost_ledger group by all
        )
        select BillingCurrency, kind, cost, cast(cost as double) / cast(total as double)
        from kinds inner join totals using (BillingCurrency)
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
