"""The tables that a forecast reads, by hand in memory: a ledger in lines, and what builds said of it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime

import duckdb
import pyarrow as pa

from farthing.build import runner

Line = tuple[date, str, str | None, str | None, float]
Said = tuple[date, str, datetime, float]


def ledger(lines: Iterable[Line], said: Iterable[Said] = ()) -> duckdb.DuckDBPyConnection:
    """Lines of (day, pool, team, model, cost); what builds said: (day, pool, when, cost)."""
    con = duckdb.connect()
    con.execute("set TimeZone = 'UTC'")
    days, pools, teams, models, costs = zip(*lines, strict=True)
    rows = pa.table(
        {
            "day": pa.array(days, pa.date32()),
            "pool": pools,
            "team_id": pa.array(teams, pa.string()),
            "model": pa.array(models, pa.string()),
            "cost": pa.array(costs, pa.float64()),
        }
    )
    con.register("rows", rows)
    con.execute(
        "create table cost_ledger as select *, 'direct' as kind, 'AWS' as provider, null::varchar as customer_id,"
        " null::varchar as feature, null::varchar as environment, '{}' as dimensions, 'USD' as BillingCurrency,"
        " false as provisional from rows"
    )
    con.execute("alter table cost_ledger alter cost type decimal(38, 12)")
    con.execute("create table pools as select distinct pool, 'cogs' as class from cost_ledger")
    con.execute(
        "create table usage_days (day date, provider varchar, model varchar, team_id varchar, customer_id varchar,"
        " user_id varchar, feature varchar, environment varchar, requests bigint, input_tokens bigint,"
        " output_tokens bigint)"
    )
    con.execute(f"create table scope_days as {runner.texts('marts')['marts/scope_days.sql']}")
    columns = list(zip(*said, strict=True)) or [(), (), (), ()]
    types = (pa.date32(), pa.string(), pa.timestamp("us"), pa.float64())
    told = pa.table(
        {
            name: pa.array(values, kind)
            for name, values, kind in zip(("day", "pool", "stated_at", "cost"), columns, types, strict=True)
        }
    )
    con.register("told", told)
    con.execute("create table restatements as select *, 'USD' as BillingCurrency from told")
    return con
