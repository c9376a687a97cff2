"""A charge up to its users: its pool, its days, and the people and kinds it ended at, to the last decimal."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, NamedTuple

import duckdb

from farthing.config import Config
from farthing.console import Sheet
from farthing.explain.facts import (
    ESTIMATED,
    NotFoundError,
    amount,
    days,
    horizon,
    midnight,
    name_people,
    near,
    pico,
    record,
    shares,
    spread,
)
from farthing.pool_report import how, rule

_FACTS = (
    "x_charge_id x_source InvoiceId billing_month ChargeCategory ChargeDescription ServiceName ResourceId "
    "ChargePeriodStart ChargePeriodEnd BillingCurrency BilledCost EffectiveCost x_cost_column x_cost pool pool_kind "
    "owner_team"
).split()
_BY_RESOURCE = "by what the machine's GPUs did"
_BY_POOL = "in proportion to the pool's ledger lines of the day"
_KINDS = ("direct", "training", "idle", "unobserved", "unexplained")


class Party(NamedTuple):
    """Where a part of a charge ends: a kind of the ledger, who carries it, and whether its division is estimated."""

    kind: str
    user_id: str | None = None
    team_id: str | None = None
    customer_id: str | None = None
    estimated: bool = False


@dataclass(frozen=True)
class _Charge:
    facts: dict[str, Any]
    pico: int

    @property
    def pool(self) -> str:
        return str(self.facts["pool"])

    @property
    def currency(self) -> str:
        return str(self.facts["BillingCurrency"])


def explain_charge(
    con: duckdb.DuckDBPyConnection, config: Config, charge_id: str, source: str | None = None, top: int = 10
) -> list[Sheet]:
    """Where the charge `charge_id` ended; days with what is accrued, kinds, and users each add up to it exactly.

    Raises:
        NotFoundError: there is no such charge, or several sources have it.
    """
    charge = _find(con, charge_id, source)
    by_day = _days(con, charge)
    parties: dict[Party, int] = defaultdict(int)
    bases: set[str] = set()
    for day, whole in by_day.items():
        weights, basis = _weights(con, charge, day)
        bases.add(basis)
        for party, part in zip(weights, shares(whole, list(weights.values())), strict=True):
            parties[party] += part
    accrued = charge.pico - sum(by_day.values())
    if accrued:
        parties[Party("accrued")] += accrued
    return [
        _facts(charge, config),
        _by_day(con, charge, by_day, accrued),
        _kinds(parties),
        _users(parties, top, "; ".join(sorted(bases))),
    ]


def _find(con: duckdb.DuckDBPyConnection, charge_id: str, source: str | None) -> _Charge:
    rows = con.execute(
        f"select {', '.join(_FACTS)} from charges"
        " where x_charge_id = ? and coalesce(x_source = ?, true) order by x_source",
        [charge_id, source],
    ).fetchall()
    if not rows:
        similar = near(
            con,
            charge_id,
            "select x_charge_id from charges qualify row_number() over (partition by x_load order by 1) <= 20",
        )
        raise NotFoundError(
            "charge", charge_id, similar, fix="x_charge_id is FILE:LINE; `farthing pools test` shows some."
        )
    if len(rows) > 1:
        raise NotFoundError(
            "single charge", charge_id, fix=f"Choose with --source: {', '.join(row[1] for row in rows)}."
        )
    facts = dict(zip(_FACTS, rows[0], strict=True))
    return _Charge(facts, pico(facts["x_cost"]))


def _facts(charge: _Charge, config: Config) -> Sheet:
    pools = {pool.name: pool for pool in config.pools}
    facts = {
        **charge.facts,
        "x_cost": f"{charge.facts['x_cost']:f}",
        "provisional": "nothing: a bill has it",
        "rule": "no rule takes it",
    }
    if charge.pool in pools:
        facts |= {"rule": rule(pools[charge.pool].match), "how": how(pools[charge.pool])}
    return record("charge", f"Charge {facts['x_charge_id']}", list(facts), list(facts.values()))


def _days(con: duckdb.DuckDBPyConnection, charge: _Charge) -> dict[date, int]:
    """What of the charge falls on each day before the horizon."""
    start, end = charge.facts["ChargePeriodStart"], charge.facts["ChargePeriodEnd"]
    until = horizon(con)
    found = {}
    for day in days(start, end):
        begin = midnight(day)
        if begin < until:
            found[day] = spread(charge.pico, start, end, begin, min(begin + timedelta(days=1), until))
    return {day: part for day, part in found.items() if part}


def _by_day(con: duckdb.DuckDBPyConnection, charge: _Charge, by_day: dict[date, int], accrued: int) -> Sheet:
    """The charge's days, and for a currency that is converted the rate of each and the day that it is of."""
    rows: list[tuple[Any, ...]] = [*by_day.items(), *([("still to come", accrued)] if accrued else [])]
    rates = {
        day: (rate, rate_day, derivation)
        for day, *(rate, rate_day, derivation) in con.execute(
            "select day, rate, rate_day, derivation from reporting_rates"
            " where currency = ? and currency <> reporting_currency",
            [charge.currency],
        ).fetchall()
    }
    if not rates:
        return _sheet("days", ["day", "cost"], rows)
    columns = ["day", "cost", "reporting_rate", "rate_day", "derivation"]
    return _sheet("days", columns, [(*row, *rates.get(row[0], (None, None, None))) for row in rows])


def _weights(con: duckdb.DuckDBPyConnection, charge: _Charge, day: date) -> tuple[dict[Party, int], str]:
    """Who carries the charge on `day` and in what proportion; integers that never add up to zero."""
    kind = charge.facts["pool_kind"]
    if kind == "owned":
        team = charge.facts["owner_team"]
        return {Party("direct", team_id=team) if team else Party("unassigned"): 1}, "the owner"
    lines = _ledger_lines(con, charge, day)
    if kind in ("gpu", "training") and charge.facts["ResourceId"]:
        weights = _resource_weights(con, charge, day, lines)
        if sum(weights.values()):
            return weights, _BY_RESOURCE
    return (lines, _BY_POOL) if sum(lines.values()) else ({Party("unassigned"): 1}, _BY_POOL)


def _ledger_lines(con: duckdb.DuckDBPyConnection, charge: _Charge, day: date) -> dict[Party, int]:
    rows = con.execute(
        "select kind, user_id, team_id, customer_id, estimated, sum(cost) from cost_ledger"
        " where day = ? and pool = ? and BillingCurrency = ? and not provisional group by all order by all",
        [day, charge.pool, charge.currency],
    ).fetchall()
    return {Party(*row[:-1]): pico(row[-1]) for row in rows}


def _resource_weights(
    con: duckdb.DuckDBPyConnection, charge: _Charge, day: date, lines: dict[Party, int]
) -> dict[Party, int]:
    """What the machine's GPUs did that day, by replica and kind; the direct part goes to the replica's own requests."""
    parts = con.execute(
        f"select replica_id, {', '.join(f'sum({kind}_cost)' for kind in _KINDS)} from gpu_days"
        " where day = ? and pool = ? and BillingCurrency = ? and lower(ResourceId) = lower(?) and not provisional"
        " group by all order by all",
        [day, charge.pool, charge.currency, charge.facts["ResourceId"]],
    ).fetchall()
    [(idle_policy,)] = con.execute("select idle from pools where pool = ?", [charge.pool]).fetchall()
    requests = _requests_of_replicas(con, charge, day)
    found: dict[Party, int] = defaultdict(int)
    for replica, *costs in parts:
        team = _team_of(con, replica, day)
        for kind, cost in zip(_KINDS, costs, strict=True):
            if not cost:
                continue
            of_ledger = {party: weight for party, weight in lines.items() if party.kind == kind}
            if kind == "direct":
                of_ledger = {
                    party: weight
                    for party, weight in of_ledger.items()
                    if idle_policy != "owner" or party.user_id is not None
                }
                split = requests.get(replica) or of_ledger
            elif kind == "training" or (kind == "idle" and idle_policy == "proportional"):
                split = of_ledger
            else:
                owned = kind == "idle" and idle_policy == "owner" and team is not None
                split = {Party("direct" if owned else kind, team_id=team): 1}
            if not sum(split.values()):
                split = {Party(kind, team_id=team): 1}
            for party, part in zip(split, shares(pico(cost), list(split.values())), strict=True):
                found[party] += part
    return dict(sorted(found.items(), key=lambda pair: [str(value or "") for value in pair[0]]))


def _requests_of_replicas(
    con: duckdb.DuckDBPyConnection, charge: _Charge, day: date
) -> dict[str | None, dict[Party, int]]:
    """What the requests of each replica cost that day under the pool's method, by who made them."""
    name_people(con)
    rows = con.execute(
        """
        select requests.replica_id,
            coalesce(identity_windows.user_id, requests.user_id) as user_id,
            coalesce(requests.team_id, identity_windows.team_id) as team_id,
            coalesce(requests.customer_id, identity_windows.customer_id) as customer_id,
            costs.estimated,
            sum(costs.cost) as cost
        from request_costs as costs
        inner join pools on costs.pool = pools.pool and costs.method = pools.method
        inner join requests on costs.x_source = requests.x_source and costs.request_id = requests.request_id
        left join identity_windows
            on requests.user_id = identity_windows.id
            and requests.started_at >= identity_windows.from_at and requests.started_at < identity_windows.to_at
        where costs.day = ? and costs.pool = ? and costs.BillingCurrency = ? and not costs.provisional
        group by all order by all
        """,
        [day, charge.pool, charge.currency],
    ).fetchall()
    found: dict[str | None, dict[Party, int]] = {}
    for replica, user, team, customer, estimated, cost in rows:
        found.setdefault(replica, {})[Party("direct", user, team, customer, estimated)] = pico(cost)
    return found


def _team_of(con: duckdb.DuckDBPyConnection, replica: str | None, day: date) -> str | None:
    [(team,)] = con.execute(
        "select min(team_id) from gpu_inventory"
        " where replica_id = ? and valid_from < ? and coalesce(valid_to > ?, true)",
        [replica, midnight(day + timedelta(days=1)), midnight(day)],
    ).fetchall()
    return None if team is None else str(team)


def _kinds(parties: dict[Party, int]) -> Sheet:
    sums: dict[str, tuple[int, int]] = {}
    for party, part in parties.items():
        cost, estimated = sums.get(party.kind, (0, 0))
        sums[party.kind] = (cost + part, estimated + part * party.estimated)
    rows = [(kind, estimated, cost) for kind, (cost, estimated) in sums.items()]
    rows.sort(key=lambda row: -abs(row[-1]))
    return _sheet("kinds", ["kind", "estimated_cost", "cost"], rows, note=_estimated(parties))


def _users(parties: dict[Party, int], top: int, basis: str) -> Sheet:
    """The `top` that carry most, the rest in one line: their sum is the charge."""
    ordered = sorted(parties.items(), key=lambda pair: (-abs(pair[1]), [str(value or "") for value in pair[0]]))
    rows: list[tuple[object, ...]] = [
        (party.kind, party.user_id, party.team_id, party.customer_id, part * party.estimated, part)
        for party, part in ordered[:top]
    ]
    rest = ordered[top:]
    if rest:
        of_rest = [sum(part * party.estimated for party, part in rest), sum(part for _, part in rest)]
        rows.append((f"{len(rest):,} others", None, None, None, *of_rest))
    columns = ["kind", "user_id", "team_id", "customer_id", "estimated_cost", "cost"]
    notes = [f"Shared {basis}." if basis else "", _estimated(parties)]
    return _sheet("users", columns, rows, note="\n".join(filter(None, notes)))


def _estimated(parties: dict[Party, int]) -> str:
    return ESTIMATED if any(party.estimated for party in parties) else ""


def _sheet(name: str, columns: list[str], rows: Any, note: str = "") -> Sheet:
    titles = {"days": "Its days", "kinds": "What it was spent on", "users": "Whom it ended at"}
    amounts = {"estimated_cost", "cost"}
    exact = [
        [amount(value) if name in amounts else value for name, value in zip(columns, row, strict=True)] for row in rows
    ]
    unused = not any(row[columns.index("estimated_cost")] for row in rows) if "estimated_cost" in columns else False
    return Sheet(
        name,
        columns,
        exact,
        title=titles[name],
        note=note,
        exact=frozenset({*amounts, "reporting_rate"}),
        hidden=frozenset({"estimated_cost"} if unused else ()),
    )
