"""Which pool rule takes which charges, and what is left over: answered from the lake, before anything is built."""

from __future__ import annotations

from dataclasses import dataclass

import duckdb

from farthing.build import bill_preview
from farthing.config import Config, Patterns, Pool
from farthing.console import Sheet
from farthing.lake import Lake
from farthing.pools import UNASSIGNED

_BRIEF = 48

#: Charges with the amount that is attributed, as a decimal of twelve places.
_CHARGES = """
    select
        charges.pool,
        charges.x_charge_id,
        coalesce(charges.ServiceName, charges.ServiceCategory) as service,
        coalesce(charges.ResourceId, charges.ChargeDescription) as resource,
        charges.ChargePeriodStart,
        charges.BillingCurrency,
        money(bill_charges.pico) as cost
    from settings.charges as charges
    inner join bill_charges
        on charges.x_source = bill_charges.x_source and charges.x_charge_id = bill_charges.x_charge_id
"""


@dataclass(frozen=True)
class PoolReport:
    """What each rule takes, examples of it, and what no rule takes."""

    pools: Sheet
    examples: Sheet
    leftover: Sheet
    empty: list[str]  # rules that take nothing

    @property
    def sheets(self) -> list[Sheet]:
        """All of it, to be shown."""
        return [self.pools, self.examples, self.leftover]


def report(config: Config, lake: Lake, *, examples: int = 2, leftovers: int = 10) -> PoolReport:
    """Sort the landed charges into the configured pools.

    Raises:
        ConfigError: a rule names a column that a charge does not have.
    """
    with bill_preview(config, lake) as con:
        con.execute(f"create temp table sorted_charges as {_CHARGES}")
        taken = con.execute(
            "select pool, BillingCurrency, count(*), sum(cost) from sorted_charges group by all order by 2"
        ).fetchall()
        rows: list[tuple[object, ...]] = []
        empty = []
        for position, pool in enumerate(config.pools, 1):
            mine = [row for row in taken if row[0] == pool.name] or [(pool.name, None, 0, None)]
            if not mine[0][2]:
                empty.append(pool.name)
            rows += [(position, pool.name, pool.kind, how(pool), rule(pool.match), *_count(row)) for row in mine]
        rows += [(None, UNASSIGNED, None, None, "no rule above", *_count(row)) for row in taken if row[0] == UNASSIGNED]
        order = {pool.name: number for number, pool in enumerate(config.pools)}
        shown = sorted(_examples(con, examples), key=lambda row: order.get(str(row[0]), len(order)))
        return PoolReport(
            Sheet(
                "pools",
                ["rule", "pool", "kind", "how", "match", "charges", "cost", "BillingCurrency"],
                rows,
                title="The first rule that matches takes a charge",
                note=f"These rules take nothing: {', '.join(empty)}." if empty else "",
            ),
            Sheet(
                "examples",
                ["pool", "x_charge_id", "service", "resource", "cost", "BillingCurrency"],
                shown,
                title="The largest charges of each pool",
            ),
            Sheet(
                "unassigned",
                ["service", "resource", "charges", "cost", "BillingCurrency"],
                _leftover(con, leftovers),
                title="Left over: no rule takes these",
            ),
            empty,
        )


def how(pool: Pool) -> str:
    """How the cost of `pool` reaches people, in a word or two."""
    if pool.kind == "owned":
        return f"owner {pool.owner}"
    if pool.kind == "shared":
        return f"driver {pool.driver}" + (f" {pool.metric}" if pool.metric else "")
    return {"gpu": f"method {pool.method}", "api": "method tokens", "training": "jobs"}[pool.kind]


def rule(match: dict[str, Patterns]) -> str:
    """The rule of a pool, as one reads it."""
    parts = [f"{name}={'|'.join([value] if isinstance(value, str) else value)}" for name, value in match.items()]
    return ", ".join(parts) or "everything"


def _count(row: tuple[object, ...]) -> tuple[object, object, object]:
    _, currency, charges, cost = row
    return charges, cost, currency


def _examples(con: duckdb.DuckDBPyConnection, number: int) -> list[tuple[object, ...]]:
    return con.execute(
        f"""
        select pool, x_charge_id, service, left(resource, {_BRIEF}), cost, BillingCurrency from sorted_charges
        where pool <> ?
        qualify row_number() over (partition by pool order by abs(cost) desc, x_charge_id) <= ?
        order by abs(cost) desc, x_charge_id
        """,
        [UNASSIGNED, number],
    ).fetchall()


def _leftover(con: duckdb.DuckDBPyConnection, number: int) -> list[tuple[object, ...]]:
    return con.execute(
        f"""
        select service, left(resource, {_BRIEF}), count(*), sum(cost), BillingCurrency from sorted_charges
        where pool = ? group by all order by abs(sum(cost)) desc, 1, 2 limit ?
        """,
        [UNASSIGNED, number],
    ).fetchall()
