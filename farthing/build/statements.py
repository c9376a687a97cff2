"""Keeps what builds said that each full day cost, so that a bill that comes late or changes is seen as a difference."""

from __future__ import annotations

import uuid
from datetime import datetime

import duckdb

from farthing import clock
from farthing.lake import Lake
from farthing.lake.schemas import COST_LEDGER, STATED_DAYS

_CHANGED = """
    with said as (
        select * from lake.stated_days
        qualify row_number() over (partition by day, pool, BillingCurrency order by stated_at desc) = 1
    ),
    now_said as (
        select
            day,
            pool,
            BillingCurrency,
            coalesce(sum(cost) filter (where not provisional), 0) as billed_cost,
            coalesce(sum(cost) filter (where provisional), 0) as provisional_cost
        from lake.cost_ledger
        where day < $open_day
        group by all
    )
    select
        coalesce(now_said.day, said.day) as day,
        coalesce(now_said.pool, said.pool) as pool,
        coalesce(now_said.BillingCurrency, said.BillingCurrency) as BillingCurrency,
        $now::timestamp as stated_at,
        coalesce(now_said.billed_cost, 0)::decimal(38, 12) as billed_cost,
        coalesce(now_said.provisional_cost, 0)::decimal(38, 12) as provisional_cost,
        (coalesce(now_said.billed_cost, 0) + coalesce(now_said.provisional_cost, 0))::decimal(38, 12) as cost
    from now_said
    full join said
        on
            now_said.day = said.day
            and now_said.pool = said.pool
            and now_said.BillingCurrency = said.BillingCurrency
    where
        coalesce(now_said.billed_cost, 0) <> coalesce(said.billed_cost, 0)
        or coalesce(now_said.provisional_cost, 0) <> coalesce(said.provisional_cost, 0)
    order by all
"""


def state(con: duckdb.DuckDBPyConnection, out: Lake, horizon: datetime) -> None:
    """Add to `stated_days` what the ledger in `out` now says otherwise of days before that of `horizon`.

    It compares with what was said last and not with what this build computed: after a build that was killed, the next
    one says it.
    """
    out.view(con, COST_LEDGER)
    out.view(con, STATED_DAYS)
    parameters = {"open_day": horizon.date(), "now": clock.now().replace(tzinfo=None)}
    changed = con.sql(_CHANGED, params=parameters).to_arrow_table()
    if changed.num_rows:
        out.append(STATED_DAYS, changed.cast(STATED_DAYS.schema), load=f"state:{uuid.uuid4()}")
