"""The facts of a month for what-if: its requests as arrays, its GPUs hour by hour, and the prices that it met."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import duckdb
import numpy as np
import polars as pl

from farthing.build.model_prices import TIER_MACRO
from farthing.config import Config
from farthing.reports import asked
from farthing.whatif import machines
from models.whatif.fleet import Fleet
from models.whatif.log import TOKENS, Log, Names, Price, own_quote

_NAMED = ["provider", "model", "asked_model"]
_EPOCH = date(1970, 1, 1)
_NO_LIMIT = 2**62
_FOREVER = 10**9
_MICROSECONDS_AN_HOUR = 3_600_000_000

#: A line of a call that counts under another line is left out: its cost stands there.
_REQUESTS = """
with ids as (
    select
        id,
        customer_id,
        team_id,
        coalesce(valid_from, timestamp '0001-01-01') as from_at,
        coalesce(valid_to, timestamp '9999-12-31') as to_at
    from identities
    qualify row_number() over (partition by id, from_at order by kind, customer_id, team_id) = 1
),
costs as (
    select
        c.x_source,
        c.request_id,
        any_value(c.pool) as pool,
        bool_or(p.kind = 'gpu') as own,
        sum(c.cost) as cost
    from request_costs as c
    inner join pools as p on c.pool = p.pool and c.method = p.method
    where c.BillingCurrency = $currency
    group by all
)
select
    md5_number_lower(r.x_source || chr(0) || r.request_id) as key,
    r.request_id,
    epoch_us(r.started_at) as started_us,
    greatest(epoch_us(coalesce(r.ended_at, r.started_at)), epoch_us(r.started_at)) as ended_us,
    coalesce(r.response_model, r.model) as model,
    r.model as asked_model,
    r.provider,
    price_tier(r.service_tier) as tier,
    coalesce(r.customer_id, ids.customer_id) as customer,
    coalesce(r.team_id, ids.team_id) as team,
    r.user_id as "user",
    r.feature,
    r.environment,
    r.prompt_hash as prompt,
    costs.pool,
    {tokens},
    r.input_tokens is not null or r.output_tokens is not null as counted,
    coalesce(lower(r.status) in ('error', 'failure', 'cancelled'), false) as failed,
    coalesce(r.gateway_cache_hit, false) as cached,
    coalesce(costs.own, r.replica_id is not null) as own,
    cast(costs.cost as double) as cost
from requests as r
left join costs on r.x_source = costs.x_source and r.request_id = costs.request_id
asof left join ids on r.user_id = ids.id and r.started_at >= ids.from_at
{these}
"""
_THESE = """
where r.started_at >= $first and r.started_at < cast($last as date) + 1
    and not exists (
        select 1 from same_calls as s where s.x_source = r.x_source and s.request_id = r.request_id
    )
order by r.started_at, r.x_source, r.request_id
"""
_PRICES = """
select
    provider, model, asked_model, service_tier, valid_from, valid_to, minute_from, minute_to, tokens_over, tokens_upto,
    input, cached_input, cache_write, cache_write_1h, output, reasoning, request
from model_prices
where currency = $currency
"""
_COVERAGE = """
select
    (select count(distinct day) from requests where day between $first and $last) as kept,
    (select count(distinct day) from usage_days where requests > 0 and day between $first and $last) as used
"""


@dataclass(frozen=True)
class Month:
    """What what-if asks of a month; `request_ids` are in the order of the log."""

    log: Log
    request_ids: list[str]
    fleets: list[Fleet]
    days: int
    currency: str
    first: date
    last: date
    bill_rates: dict[str, float]  # by provider: what was billed by what the price table says
    remarks: list[str]


def of(con: duckdb.DuckDBPyConnection, config: Config, first: date | None, currency: str | None = None) -> Month:
    """The month that begins on `first`, by default the last one that is over, in `currency`, else the one that leads.

    Raises:
        NoSuchMonthError: the ledger has no cost in it.
    """
    period = asked.month(con, first)
    found = asked.currencies(con, config)
    currency = currency or found[0]
    others = [one for one in found if one != currency]
    known = {"currency": currency, "first": period.first, "last": period.last}
    log, request_ids = _log(con, known)
    [(kept, used)] = con.execute(_COVERAGE, {"first": period.first, "last": period.last}).fetchall()
    days = (period.last - period.first).days + 1
    remarks = []
    if kept < used:
        remarks.append(
            f"the warehouse keeps the requests of {kept} of {used} days of the month: raise [warehouse] request_days"
        )
    if not period.whole:
        remarks.append(f"amounts are of {days} days: the month is not over, or not whole in the ledger")
    if others:
        remarks.append(f"what was billed in {', '.join(others)} is in no card")
    fleets = machines.fleets(con, known)
    return Month(log, request_ids, fleets, days, currency, period.first, period.last, _bill_rates(log), remarks)


def tag(con: duckdb.DuckDBPyConnection, month: Month, key: str) -> np.ndarray[tuple[int], np.dtype[np.object_]]:
    """The value of the tag `key` of each request of the month; None where it has none."""
    query = f"select json_extract_string(r.tags, $path) from requests as r {_THESE}"
    path = '$."' + key.replace('"', '\\"') + '"'
    rows = con.execute(query, {"first": month.first, "last": month.last, "path": path}).fetchall()
    return np.array([value for (value,) in rows], dtype=np.object_)


def _log(con: duckdb.DuckDBPyConnection, known: dict[str, Any]) -> tuple[Log, list[str]]:
    con.execute(TIER_MACRO.replace("create or replace macro", "create or replace temp macro"))
    columns = ", ".join(f"coalesce(r.{name}_tokens, 0) as {name}" for name in TOKENS)
    found = con.sql(_REQUESTS.format(tokens=columns, these=_THESE), params=known)
    rows = pl.from_arrow(found.to_arrow_table())
    assert isinstance(rows, pl.DataFrame)
    prices, tables = _prices(con, known)
    names = pl.DataFrame(list(tables), schema=dict.fromkeys(_NAMED, pl.String), orient="row").with_row_index("table")
    coded = rows.select(_NAMED).join(names, on=_NAMED, how="left", nulls_equal=True, maintain_order="left")
    first_us = (known["first"] - _EPOCH).days * 24 * _MICROSECONDS_AN_HOUR
    started = rows["started_us"].to_numpy()
    log = Log(
        key=rows["key"].to_numpy(),
        started_us=started,
        ended_us=rows["ended_us"].to_numpy(),
        hour=(started - first_us) // _MICROSECONDS_AN_HOUR,
        tokens=rows.select(TOKENS).cast(pl.Int64).to_numpy(),
        cost=rows["cost"].cast(pl.Float64).fill_null(float("nan")).to_numpy(),
        price=np.full(len(rows), np.nan),
        table=coded["table"].cast(pl.Int64).fill_null(-1).to_numpy(),
        prices=prices,
        own=rows["own"].to_numpy(),
        counted=rows["counted"].to_numpy(),
        failed=rows["failed"].to_numpy(),
        cached=rows["cached"].to_numpy(),
        names={
            name: _names(rows[name])
            for name in ("model", "provider", "tier", "customer", "team", "user", "feature", "environment", "pool")
        }
        | {"prompt": _names(rows["prompt"], with_names=False)},
    )
    every = np.arange(len(log))
    log = replace(log, price=own_quote(log, every, log.tokens).price(log.tokens))
    return log, rows["request_id"].to_list()


def _names(column: pl.Series, *, with_names: bool = True) -> Names:
    codes = (column.rank("dense").cast(pl.Int64) - 1).fill_null(-1).to_numpy()
    return Names(codes, column.drop_nulls().unique().sort().to_list() if with_names else [])


def _prices(
    con: duckdb.DuckDBPyConnection, known: dict[str, Any]
) -> tuple[list[list[Price]], dict[tuple[Any, ...], int]]:
    tables: dict[tuple[Any, ...], list[Price]] = {}
    for provider, model, asked_model, *row in con.execute(_PRICES, {"currency": known["currency"]}).fetchall():
        tier, begins, ends, minute_from, minute_to, over, upto, *million, request = row
        price = Price(
            tier,
            -_FOREVER if begins is None else (begins - _EPOCH).days,
            _FOREVER if ends is None else (ends - _EPOCH).days,
            minute_from,
            minute_to,
            -1 if over is None else over,
            _NO_LIMIT if upto is None else upto,
            unit_prices(million),
            float(request),
        )
        tables.setdefault((provider, model, asked_model), []).append(price)
    return list(tables.values()), {name: number for number, name in enumerate(tables)}


def unit_prices(million: Sequence[Any]) -> tuple[float, float, float, float, float, float]:
    """Prices per million tokens of the six classes as prices of one token."""
    read, cached, written, hour, output, reasoning = (float(one) / 1e6 for one in million)
    return read, cached, written, hour, output, reasoning


def _bill_rates(log: Log) -> dict[str, float]:
    """By provider: what its requests were billed by what the price table says; only where both are known."""
    found = {}
    both = ~np.isnan(log.cost) & ~np.isnan(log.price) & ~log.own
    for code, name in enumerate(log.names["provider"].names):
        here = both & (log.names["provider"].codes == code)
        if log.price[here].sum() > 0:
            found[name.lower()] = float(log.cost[here].sum() / log.price[here].sum())
    return found
