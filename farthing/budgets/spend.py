"""What a scope cost, day by day and to the last decimal, of the published ledger; what no bill confirms is marked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

import duckdb

#: What a scope's dimension is called in the ledger; `plan` is joined to it.
COLUMNS = {
    "team": "team_id",
    "model": "model",
    "customer": "customer_id",
    "user": "user_id",
    "plan": "plan",
    "pool": "pool",
    "provider": "provider",
}
EACH = "*"

#: A table with the plan that each line was used under: that of the user's identity, as `user_month` has it, else
#: the one plan that was paid for the user, else for the customer, in the last month that has revenue of him.
_WITH_PLANS = """(
    with identified as (
        select month, user_id, max(plan) as plan from user_month where user_id is not null group by all
    ),
    paid as (
        select
            customer_id,
            user_id,
            cast(date_trunc('month', period) as date) as month,
            case when count(distinct plan) = 1 then max(plan) end as plan
        from revenue
        where plan is not null
        group by all
    ),
    used as (
        select distinct cast(date_trunc('month', day) as date) as month, user_id, customer_id from {table}
    ),
    planned as (
        select
            used.month,
            used.user_id,
            used.customer_id,
            coalesce(
                any_value(identified.plan),
                arg_max(paid.plan, paid.month) filter (where paid.user_id = used.user_id),
                arg_max(paid.plan, paid.month) filter (where paid.user_id is null)
            ) as plan
        from used
        left join identified on used.month = identified.month and used.user_id = identified.user_id
        left join paid on used.customer_id = paid.customer_id and paid.month <= used.month
        group by all
    )
    select lines.*, planned.plan
    from {table} as lines
    left join planned
        on
            cast(date_trunc('month', lines.day) as date) = planned.month
            and lines.user_id is not distinct from planned.user_id
            and lines.customer_id is not distinct from planned.customer_id
)"""


@dataclass(frozen=True)
class Spent:
    """What one day cost, and the part of it that no bill confirms yet."""

    day: date
    cost: Decimal
    provisional: Decimal


def ledger_days(con: duckdb.DuckDBPyConnection, today: date) -> tuple[date, date] | None:
    """The first and the last day that the ledger knows, not after `today`; null: it is empty."""
    [(first, last)] = con.execute("select min(day), max(day) from cost_ledger where day <= ?", [today]).fetchall()
    return None if first is None else (first, last)


def members(
    con: duckdb.DuckDBPyConnection, scope: Mapping[str, str], currency: str, first: date, last: date
) -> dict[str, Decimal]:
    """What each that the `*` of `scope` stands for cost in the days, the dearest first."""
    condition, values = _condition(scope)
    rows = con.execute(
        f"select {_each(scope)} as each_of, sum(cost) as cost from {_lines(scope)}"
        f" where {condition} and BillingCurrency = ? and day between ? and ? group by all order by cost desc, each_of",
        [*values, currency, first, last],
    ).fetchall()
    return dict(rows)


def daily(
    con: duckdb.DuckDBPyConnection, scope: Mapping[str, str], first: date, last: date, only: Sequence[str] = ()
) -> dict[str, dict[str, list[Spent]]]:
    """By whom and currency, the days from `first` to `last` on which the scope has ledger lines, in order.

    `only` are those of `*` that are asked for; a scope without `*` is one, named by nothing.
    """
    condition, values = _condition(scope)
    each = _each(scope)
    chosen = f"list_contains(?, {each})" if only else "true"
    rows = con.execute(
        f"select {each} as each_of, BillingCurrency, day, sum(cost), coalesce(sum(cost) filter (where provisional), 0)"
        f" from {_lines(scope)} where {condition} and {chosen} and day between ? and ? group by all order by all",
        [*values, *([list(only)] if only else []), first, last],
    ).fetchall()
    found: dict[str, dict[str, list[Spent]]] = {}
    for name, currency, day, cost, provisional in rows:
        found.setdefault(name, {}).setdefault(currency, []).append(Spent(day, cost, Decimal(provisional)))
    return found


def _each(scope: Mapping[str, str]) -> str:
    """The column whose values the `*` of a scope stands for."""
    return next((COLUMNS[dimension] for dimension, key in scope.items() if key == EACH), "''")


def by_provider(
    con: duckdb.DuckDBPyConnection, scope: Mapping[str, str], currency: str, first: date, last: date
) -> dict[str | None, Decimal]:
    """What a scope without `*` cost in the days, by who served the model; null: it is no request's."""
    condition, values = _condition(scope)
    return dict(
        con.execute(
            f"select provider, sum(cost) from {_lines(scope)}"
            f" where {condition} and BillingCurrency = ? and day between ? and ? group by all order by all",
            [*values, currency, first, last],
        ).fetchall()
    )


def usage_by_provider(
    con: duckdb.DuckDBPyConnection, scope: Mapping[str, str], first: date, last: date
) -> dict[str | None, tuple[int, int]]:
    """Requests and tokens (read and written) of a scope without `*` and `pool` in the days, by who served the model."""
    condition, values = _condition(scope)
    rows = con.execute(
        "select provider, cast(sum(requests) as bigint),"
        " cast(sum(coalesce(input_tokens, 0) + coalesce(output_tokens, 0)) as bigint)"
        f" from {_lines(scope, 'usage_days')} where {condition} and day between ? and ? group by all order by all",
        [*values, first, last],
    ).fetchall()
    return {provider: (requests, tokens) for provider, requests, tokens in rows}


def gpus_by_provider(
    con: duckdb.DuckDBPyConnection, pool: str | None, currency: str, first: date, last: date
) -> dict[str | None, tuple[int, Decimal]]:
    """Microseconds and cost of GPUs in the days, of a pool or of all, by who bills them; else as the inventory says."""
    rows = con.execute(
        """
        with sellers as (
            select
                lower(ResourceId) as resource,
                arg_max(coalesce(ServiceProviderName, ProviderName), ChargePeriodStart) as provider
            from charges
            where coalesce(ServiceProviderName, ProviderName) is not null
            group by all
        ),
        known as (
            select lower(ResourceId) as resource, arg_max(provider, valid_from) as provider
            from gpu_inventory
            where provider is not null
            group by all
        )
        select
            coalesce(sellers.provider, known.provider),
            sum(cast(round(gpu_days.gpu_seconds * 1000000) as hugeint)),
            sum(gpu_days.cost)
        from gpu_days
        left join sellers on lower(gpu_days.ResourceId) = sellers.resource
        left join known on lower(gpu_days.ResourceId) = known.resource
        where coalesce(gpu_days.pool = $pool, true) and BillingCurrency = $currency and day between $first and $last
        group by all
        order by all
        """,
        {"pool": pool, "currency": currency, "first": first, "last": last},
    ).fetchall()
    return {provider: (microseconds, cost) for provider, microseconds, cost in rows}


def _lines(scope: Mapping[str, str], table: str = "cost_ledger") -> str:
    return _WITH_PLANS.format(table=table) if "plan" in scope else table


def _condition(scope: Mapping[str, str]) -> tuple[str, list[str]]:
    """SQL that holds for the lines of `scope`, and its parameters."""
    parts = [f"{COLUMNS[name]} is not null" if key == EACH else f"{COLUMNS[name]} = ?" for name, key in scope.items()]
    return " and ".join(parts) or "true", [key for key in scope.values() if key != EACH]
