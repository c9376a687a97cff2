"""A user's cost down to its bill lines: ledger lines, the pools behind them, and the pools' largest charges."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import duckdb

from farthing.config import Config
from farthing.console import Sheet
from farthing.explain.facts import (
    ESTIMATED,
    NotFoundError,
    amount,
    horizon,
    midnight,
    near,
    pico,
    provisional_until,
    record,
    spread,
)
from farthing.pool_report import how

_CHARGES_OF_A_POOL = 3
_FIRM = ["provisional_cost", "estimated_cost"]


def explain_user(con: duckdb.DuckDBPyConnection, config: Config, user: str, month: date | None = None) -> list[Sheet]:
    """What `user` cost in `month` (the newest by default), by pool and kind, and from which charges it comes.

    For each pool the parts of its charges add up exactly to what the user carries of it.

    Raises:
        NotFoundError: the ledger has no such user, or not in that month.
    """
    newest = _newest_month(con, user)
    chosen = month or newest
    lines = _lines(con, user, chosen)
    if not lines:
        known = [f"{found:%Y-%m}" for found in _months(con, user)]
        raise NotFoundError(f"cost in {chosen:%Y-%m} of user", user, fix=f"There is some in {', '.join(known)}.")
    return [
        _who(con, user, chosen),
        Sheet(
            "totals",
            ["BillingCurrency", "cost", *_FIRM],
            [(currency, *amounts) for (currency,), amounts in _grouped(lines, 2).items()],
            title="Cost",
            exact=frozenset({"cost"}),
        ),
        *_converted(con, user, chosen),
        Sheet("lines", ["pool", "kind", "BillingCurrency", "days", "cost", *_FIRM], lines, title="Lines of the ledger"),
        _pools(con, config, lines, chosen),
        _charges(con, lines, chosen),
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
        "select pool, kind, BillingCurrency, count(distinct day), sum(cost),"
        " coalesce(sum(cost) filter (where provisional), 0), coalesce(sum(cost) filter (where estimated), 0)"
        " from cost_ledger where user_id = ? and day >= ? and day < ?"
        " group by all order by BillingCurrency, abs(sum(cost)) desc, pool, kind",
        [user, month, _after(month)],
    ).fetchall()


def _converted(con: duckdb.DuckDBPyConnection, user: str, month: date) -> list[Sheet]:
    """The user's cost in the reporting currency with the rates of its days; nothing where all of it is in that one."""
    rows = con.execute(
        "select BillingCurrency, sum(cost), min(rate), max(rate), min(rate_day), max(rate_day), reporting_currency,"
        " case when count(*) = count(rate) then sum(converted(cost, rate)) end"
        " from cost_ledger join reporting_rates as rates"
        " on cost_ledger.day = rates.day and BillingCurrency = rates.currency"
        " where user_id = ? and cost_ledger.day >= ? and cost_ledger.day < ? group by all order by 1",
        [user, month, _after(month)],
    ).fetchall()
    columns = ["BillingCurrency", "cost", "lowest_rate", "highest_rate", "first_rate_day", "last_rate_day"]
    columns += ["reporting_currency", "reporting_cost"]
    exact = frozenset({"cost", "lowest_rate", "highest_rate", "reporting_cost"})
    foreign = any(row[0] != row[6] for row in rows)
    return [Sheet("converted", columns, rows, title="By the rate of each day", exact=exact)] if foreign else []


def _grouped(lines: list[tuple[Any, ...]], *keys: int) -> dict[tuple[str, ...], list[Decimal]]:
    """Cost, and what of it is provisional and estimated, by some of a line's columns."""
    found: dict[tuple[str, ...], list[Decimal]] = {}
    for line in lines:
        sums = found.setdefault(tuple(line[key] for key in keys), [Decimal(0)] * 3)
        sums[:] = [one + more for one, more in zip(sums, line[4:], strict=True)]
    return found


def _bill(con: duckdb.DuckDBPyConnection, pool: str, currency: str, month: date) -> tuple[Decimal, Decimal]:
    """What was billed for a pool in the month, and what no bill confirms yet."""
    found = con.execute(
        "select bill_cost, provisional_cost from pool_month where pool = ? and BillingCurrency = ? and month = ?",
        [pool, currency, month],
    ).fetchall()
    return (found[0][0], found[0][1]) if found else (Decimal(0), Decimal(0))


def _pools(con: duckdb.DuckDBPyConnection, config: Config, lines: list[tuple[Any, ...]], month: date) -> Sheet:
    """Of each pool: what it cost in the month, the user's part of it, and how firm that is."""
    ways = {pool.name: how(pool) for pool in config.pools}
    parts = _grouped(lines, 0, 2)
    since, words = provisional_until(con, dict.fromkeys(key[0] for key, (_, open_, _) in parts.items() if open_))
    rows = []
    for (pool, currency), (cost, provisional, estimated) in parts.items():
        whole = sum(_bill(con, pool, currency, month), Decimal(0))
        share = float(cost / whole) if whole else None
        until = since.get(pool) if provisional else None
        rows.append((pool, currency, ways.get(pool), whole, share, cost, provisional, until, estimated))
    notes = [words] if words else []
    notes += [ESTIMATED] if any(row[-1] for row in rows) else []
    return Sheet(
        "pools",
        [
            "pool",
            "BillingCurrency",
            "how",
            "pool_cost",
            "share",
            "cost",
            "provisional_cost",
            "bill_until",
            "estimated_cost",
        ],
        rows,
        title="The pools behind them",
        note="\n".join(notes),
        hidden=frozenset({"bill_until"}),
    )


def _charges(con: duckdb.DuckDBPyConnection, lines: list[tuple[Any, ...]], month: date) -> Sheet:
    begin, until = midnight(month), min(midnight(_after(month)), horizon(con))
    rows: list[tuple[object, ...]] = []
    for (pool, currency), (cost, provisional, _) in _grouped(lines, 0, 2).items():
        billed, unbilled = _bill(con, pool, currency, month)
        if billed:
            rows += _parts(con, pool, currency, pico(billed), pico(cost - provisional), begin, until)
        if provisional:
            rows.append((pool, "no bill yet", None, None, None, unbilled, provisional, currency))
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
