"""Where a month lands by the forecasts that were published of it; where there is none, nothing stands for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import duckdb


@dataclass(frozen=True)
class Landing:
    """A forecast of what a month comes to, as it was issued on `as_of`; an estimate, so a float."""

    as_of: date
    forecast: float
    q80: float  # it stays below this with a chance of 80 %


def scope_name(scope: Mapping[str, str]) -> tuple[str, str]:
    """A scope as one dimension and one key, as tables and alerts have it: `total` has no key."""
    return " x ".join(scope) or "total", " x ".join(scope.values())


def landings(
    con: duckdb.DuckDBPyConnection, scope: Mapping[str, str], currency: str, month: date
) -> dict[str, list[Landing]]:
    """By key, all forecasts of the month's cost of `scope` that were issued, in the order of their issue."""
    if not con.execute("select 1 from duckdb_tables() where table_name = 'landings'").fetchall():
        return {}  # published before anything was forecast
    dimension, key = scope_name(scope)
    chosen, values = ("true", []) if key == "*" else ("coalesce(key, '') = ?", [key])
    rows = con.execute(
        "select coalesce(key, ''), cast(as_of as date), forecast, q80 from landings"
        f" where dimension = ? and BillingCurrency = ? and month = ? and {chosen} order by as_of",
        [dimension, currency, month, *values],
    ).fetchall()
    found: dict[str, list[Landing]] = {}
    for name, *landing in rows:
        found.setdefault(name, []).append(Landing(*landing))
    return found
