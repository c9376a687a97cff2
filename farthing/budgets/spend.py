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

#: The ledger with the plan that each line was used under: that of the user's identity, as `user_month` has it, else
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
        select distinct cast(date_trunc('month', day) as date) as month, user_id, customer_id from cost_ledger
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
    select cost_ledger.*, planned.plan
    from cost_ledger
    left join planned
        on
            cast(date_trunc('month', cost_ledger.day) as date) = planned.month
            and cost_ledger.user_id is not distinct from planned.user_id
            and cost_ledger.customer_id is not distinct from planned.customer_id
)"""


@dataclass(frozen=True)
class Spent:
    """What one day cost, and the part of it that no bill confirms yet."""

    day: date
    cost: Decimal
    provisional: Decimal


def ledger_end(con: duckdb.DuckDBPyConnection, today: date) -> date | None:
    """The last day that the ledger knows, not after `today`; null: it is empty."""
    [(day,)] = con.execute("select max(day) from cost_ledger where day <= ?", [today]).fetchall()
    return day if isinstance(day, date) else None


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


def _lines(scope: Mapping[str, str]) -> str:
    return _WITH_PLANS if "plan" in scope else "cost_ledger"


def _condition(scope: Mapping[str, str]) -> tuple[str, list[str]]:
    """SQL that holds for the lines of `scope`, and its parameters."""
    parts = [f"{COLUMNS[name]} is not null" if key == EACH else f"{COLUMNS[name]} = ?" for name, key in scope.items()]
    return " and ".join(parts) or "true", [key for key in scope.values() if key != EACH]
