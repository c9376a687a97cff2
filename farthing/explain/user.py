"""A user's cost down to its bill lines: ledger lines, the pools behind them, and the pools' largest charges."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import duckdb

from farthing.config import Config
from farthing.console import Sheet
from farthing.explain.facts import NotFoundError, amount, horizon, midnight, near, pico, record, spread
from farthing.pool_report import how

_CHARGES_OF_A_POOL = 3


def explain_user(con: duckdb.DuckDBPyConnection, config: Config, user: str, month: date | None = None) -> list[Sheet]:
    """What `user` cost in `month` (the newest by default), by pool and kind, and from which charges it comes.

    For each pool the parts of its charges add up exactly to what the user carries of it.

    Raises:
        NotFoundError: the ledger has no such user, or not in that month.
    """
    chosen = month or _newest_month(con, user)
    lines = _lines(con, user, chosen)
    if not lines:
        known = [f"{found:%Y-%m}" for found in _months(con, user)]
        raise NotFoundError("cost of user", user, fix=f"in {chosen:%Y-%m}; there is some in {', '.join(known)}.")
    pools = _pools(con, config, lines, chosen)
    totals: dict[str, Decimal] = {}
    for _, _, currency, _, cost in lines:
        totals[currency] = totals.get(currency, Decimal(0)) + cost
    return [
        _who(con, user, chosen),
        Sheet("totals", ["BillingCurrency", "cost"], list(totals.items()), title="Cost", exact=frozenset({"cost"})),
        Sheet("lines", ["pool", "kind", "BillingCurrency", "days", "cost"], lines, title="Lines of the ledger"),
        pools,
        _charges(con, pools, chosen),
    ]


def _months(con: duckdb.DuckDBPyConnection, user: str) -> list[date]:
    rows = con.execute(
        "select distinct cast(date_trunc('month', day) as date) from cost_ledger where user_id = ? order by 1 desc",
        [user],
    ).fetchall()
    return [month for (month,) in rows]


def _newest_month(con: duckdb.DuckDBPyConnection, user: str) -> date:
    months = _months(con, user)
    if not months:
        raise NotFoundError(
            "user", user, near(con, user, "select distinct user_id from cost_ledger where user_id is not null")
        )
    return months[0]


def _after(month: date) -> date:
    return (month + timedelta(days=32)).replace(day=1)


def _who(con: duckdb.DuckDBPyConnection, user: str, month: date) -> Sheet:
    [row] = con.execute(
        "select string_agg(distinct team_id, ', ' order by team_id),"
        " string_agg(distinct customer_id, ', ' order by customer_id),"
        " string_agg(distinct model, ', ' order by model),"
        " cast(sum(requests) as bigint), cast(sum(input_tokens) as bigint), cast(sum(output_tokens) as bigint)"
        " from usage_days where user_id = ? and day >= ? and day < ?",
        [user, month, _after(month)],
    ).fetchall()
    columns = ["user_id", "month", "team_id", "customer_id", "models", "requests", "input_tokens", "output_tokens"]
    return record("user", f"User {user} in {month:%Y-%m}", columns, [user, f"{month:%Y-%m}", *row])


def _lines(con: duckdb.DuckDBPyConnection, user: str, month: date) -> list[tuple[Any, ...]]:
    return con.execute(
        "select pool, kind, BillingCurrency, count(distinct day), sum(cost) from cost_ledger"
        " where user_id = ? and day >= ? and day < ?"
        " group by all order by BillingCurrency, abs(sum(cost)) desc, pool, kind",
        [user, month, _after(month)],
    ).fetchall()


def _pools(con: duckdb.DuckDBPyConnection, config: Config, lines: list[tuple[Any, ...]], month: date) -> Sheet:
    """Of each pool: what was billed for it in the month, and the user's part of it."""
    ways = {pool.name: how(pool) for pool in config.pools}
    parts: dict[tuple[str, str], Decimal] = {}
    for pool, _, currency, _, cost in lines:
        parts[pool, currency] = parts.get((pool, currency), Decimal(0)) + cost
    rows = []
    for (pool, currency), cost in parts.items():
        found = con.execute(
            "select bill_cost from pool_month where pool = ? and BillingCurrency = ? and month = ?",
            [pool, currency, month],
        ).fetchall()
        billed = found[0][0] if found else None
        share = float(cost / billed) if billed else None
        rows.append((pool, currency, ways.get(pool), billed, share, cost))
    return Sheet(
        "pools", ["pool", "BillingCurrency", "how", "pool_cost", "share", "cost"], rows, title="The pools behind them"
    )


def _charges(con: duckdb.DuckDBPyConnection, pools: Sheet, month: date) -> Sheet:
    begin, until = midnight(month), min(midnight(_after(month)), horizon(con))
    rows: list[tuple[object, ...]] = []
    for pool, currency, _, billed, _, cost in pools.rows:
        assert isinstance(cost, Decimal)
        if isinstance(billed, Decimal) and billed:
            rows += _parts(con, str(pool), str(currency), pico(billed), pico(cost), begin, until)
    return Sheet(
        "charges",
        ["pool", "x_charge_id", "service", "resource", "from", "charged", "part", "BillingCurrency"],
        rows,
        title="The pools' largest charges, and this user's part of each",
        note="charged: what falls into the month; the parts of a pool add up to the user's cost of it.",
    )


def _parts(
    con: duckdb.DuckDBPyConnection, pool: str, currency: str, billed: int, cost: int, begin: datetime, until: datetime
) -> list[tuple[object, ...]]:
    where = (
        "from charges where pool = ? and BillingCurrency = ? and ChargePeriodStart < ?"
        " and greatest(ChargePeriodEnd, ChargePeriodStart + interval 1 microsecond) > ?"
    )
    values = [pool, currency, until, begin]
    largest = con.execute(
        "select x_charge_id, coalesce(ServiceName, ServiceCategory), left(coalesce(ResourceId, ChargeDescription), 40),"
        f" ChargePeriodStart, ChargePeriodEnd, x_cost {where}"
        " order by abs(x_cost) desc, ChargePeriodStart, x_charge_id limit ?",
        [*values, _CHARGES_OF_A_POOL],
    ).fetchall()
    [(number,)] = con.execute(f"select count(*) {where}", values).fetchall()
    rows: list[tuple[object, ...]] = []
    billed_left, cost_left = billed, cost
    for charge, service, resource, start, end, whole in largest:
        charged = spread(pico(whole), start, end, begin, until)
        part = cost * charged // billed
        billed_left, cost_left = billed_left - charged, cost_left - part
        rows.append((pool, charge, service, resource, start.date(), amount(charged), amount(part), currency))
    if number > len(largest) or cost_left:
        others = f"{number - len(largest):,} others"
        rows.append((pool, others, None, None, None, amount(billed_left), amount(cost_left), currency))
    return rows
