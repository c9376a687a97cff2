"""A request's cost: its facts, what it cost under each method, and the charges behind it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import duckdb

from farthing.config import Config
from farthing.console import Sheet
from farthing.explain.facts import ESTIMATED, NotFoundError, midnight, name_people, provisional_until, record
from farthing.pool_report import how

_CHARGES_SHOWN = 5
_ONE_CALL = (
    "One call, logged by several. Its cost stands on the first line, and counts for whom that line names,"
    " or a span above it; else for whom the next line names."
)
_FACTS = (
    "x_source request_id started_at first_token_at ended_at user_id team_id customer_id provider model replica_id "
    "input_tokens cached_input_tokens cache_write_tokens output_tokens reasoning_tokens usage_quality status trace_id "
    "agent feature environment"
).split()


def explain_request(
    con: duckdb.DuckDBPyConnection, config: Config, request: str, source: str | None = None
) -> list[Sheet]:
    """What `request` was, what it cost under every kept method, and the charges that paid for it.

    Raises:
        NotFoundError: the warehouse's window of requests has no such id, or several sources have it.
    """
    facts = _facts(con, config, request, source)
    of = dict(zip(_FACTS, facts, strict=True))
    lines = _lines(con, str(of["x_source"]), request)
    costs = _costs(con, str(of["x_source"]), request)
    sheets = [record("request", f"Request {request}", _FACTS, facts), *([lines] if lines.rows else []), costs]
    of["replica_id"] = next((row[-1] for row in reversed(lines.rows) if row[-1]), of["replica_id"])
    ways = {pool.name: how(pool) for pool in config.pools}
    return [
        *sheets,
        *(_charges(con, pool, ways.get(pool, ""), of) for pool in dict.fromkeys(str(row[1]) for row in costs.rows)),
    ]


def _facts(con: duckdb.DuckDBPyConnection, config: Config, request: str, source: str | None) -> tuple[Any, ...]:
    name_people(con)
    own = {"user_id", "team_id", "customer_id"}
    columns = [f"requests.{name}" for name in _FACTS if name not in own | {"model"}]
    found = con.execute(
        f"""
        select {", ".join(columns)},
            coalesce(identity_windows.user_id, requests.user_id) as user_id,
            coalesce(requests.team_id, identity_windows.team_id) as team_id,
            coalesce(requests.customer_id, identity_windows.customer_id) as customer_id,
            coalesce(requests.response_model, requests.model) as model
        from requests
        left join identity_windows
            on requests.user_id = identity_windows.id
            and requests.started_at >= identity_windows.from_at and requests.started_at < identity_windows.to_at
        where requests.request_id = ? and coalesce(requests.x_source = ?, true)
        order by requests.x_source
        """,
        [request, source],
    )
    names = [column[0] for column in found.description]
    rows = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
    if not rows:
        days = config.warehouse.request_days
        raise NotFoundError(
            "request", request, fix=f"It carries the requests of the newest {days} days ([warehouse] request_days)."
        )
    if len(rows) > 1:
        raise NotFoundError(
            "single request", request, fix=f"Choose with --source: {', '.join(str(row['x_source']) for row in rows)}."
        )
    return tuple(rows[0][name] for name in _FACTS)


def _lines(con: duckdb.DuckDBPyConnection, source: str, request: str) -> Sheet:
    """The lines of the call that `request` is a part of, from the one who asked inwards; none where it is the only one.

    The call's cost stands on the first of them.
    """
    rows = con.execute(
        """
        with first as (
            select coalesce(any_value(call_source), $source) as x_source,
                coalesce(any_value(call_request_id), $request) as request_id
            from same_calls where x_source = $source and request_id = $request
        ),
        members as (
            select *, true as is_first from first
            union all
            select same_calls.x_source, same_calls.request_id, false
            from first
            inner join same_calls
                on same_calls.call_source = first.x_source and same_calls.call_request_id = first.request_id
        )
        select requests.x_source, requests.request_id, requests.seen_by, requests.started_at, requests.user_id,
            requests.replica_id
        from members
        inner join requests using (x_source, request_id)
        qualify count(*) over () > 1
        order by members.is_first desc, requests.started_at, requests.x_source, requests.request_id
        """,
        {"source": source, "request": request},
    ).fetchall()
    return Sheet(
        "lines",
        ["x_source", "request_id", "seen_by", "started_at", "user_id", "replica_id"],
        rows,
        title="The lines of this call",
        note=_ONE_CALL if rows else "",
    )


def _costs(con: duckdb.DuckDBPyConnection, source: str, request: str) -> Sheet:
    rows = con.execute(
        "select costs.day, costs.pool, costs.method, costs.method = pools.method as in_ledger, costs.cost,"
        " costs.BillingCurrency, costs.provisional, costs.estimated"
        " from request_costs as costs left join pools on costs.pool = pools.pool"
        " where costs.x_source = ? and costs.request_id = ?"
        # a request that was billed and watched all its life has a line of nothing beside it
        " qualify costs.cost <> 0"
        " or not bool_or(costs.cost <> 0) over (partition by costs.day, costs.pool, costs.method)"
        " order by costs.day, in_ledger desc, costs.method, costs.pool, costs.provisional, costs.estimated",
        [source, request],
    ).fetchall()
    since, words = provisional_until(con, dict.fromkeys(row[1] for row in rows if row[6]))
    notes = [words] if words else []
    notes += [ESTIMATED] if any(row[7] for row in rows) else []
    notes += [] if rows else [_why_nothing(con, source, request)]
    return Sheet(
        "costs",
        ["day", "pool", "method", "in_ledger", "cost", "BillingCurrency", "provisional", "estimated", "bill_until"],
        [(*row, since.get(row[1]) if row[6] else None) for row in rows],
        title="What it cost, by method",
        note="\n".join(notes),
        exact=frozenset({"cost"}),
        hidden=frozenset({"bill_until"}),
    )


def _why_nothing(con: duckdb.DuckDBPyConnection, source: str, request: str) -> str:
    """Why no cost stands on `request`."""
    other = con.execute(
        "select call_request_id from same_calls where x_source = ? and request_id = ?", [source, request]
    ).fetchone()
    if other is None:
        return "No pool with a bill paid for it, or [attribution] request_costs is off."
    if other[0] is None:
        return "It is no call of its own: finer lines of its trace tell what it covers, and bear the cost."
    return "Its cost stands on the first line of the call."


def _charges(con: duckdb.DuckDBPyConnection, pool: str, way: str, of: dict[str, Any]) -> Sheet:
    """The charges of `pool` that ran while the request did; of its replica's machines only, where there are any."""
    start: datetime = of["started_at"]
    begin, end = midnight(start.date()), (of["ended_at"] or start) + timedelta(microseconds=1)
    machines = [
        row[0]
        for row in con.execute(
            'select distinct lower("ResourceId") from gpu_inventory where replica_id = ? and valid_from <= ?'
            " and coalesce(valid_to > ?, true)",
            [of["replica_id"], start, start],
        ).fetchall()
    ]
    begin = start if machines else begin
    end = end if machines else midnight(start.date() + timedelta(days=1))
    where = "pool = ? and ChargePeriodStart < ? and ChargePeriodEnd > ?"
    values: list[object] = [pool, end, begin]
    if machines:
        where += " and list_contains(?::varchar[], lower(ResourceId))"
        values.append(machines)
    rows = con.execute(
        "select x_charge_id, coalesce(ServiceName, ServiceCategory), left(coalesce(ResourceId, ChargeDescription), 48),"
        f" ChargePeriodStart, ChargePeriodEnd, x_cost, BillingCurrency from charges where {where}"
        " order by abs(x_cost) desc, x_charge_id",
        values,
    ).fetchall()
    on = f" on {', '.join(machines)}" if machines else ""
    more = len(rows) - _CHARGES_SHOWN
    return Sheet(
        f"charges_{pool}",
        ["x_charge_id", "service", "resource", "from", "to", "cost", "BillingCurrency"],
        rows[:_CHARGES_SHOWN],
        title=f"Charges of pool {pool} ({way}){on}",
        note=f"and {more:,} more" if more > 0 else "",
    )
